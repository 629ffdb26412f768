#!/usr/bin/env bash
# Installs what the interoperability tests talk to, into target/interop. For Python: `venv` (PyJWT, Django, drf-jwt-knox,
# Knox 5, Valkey, openapi-spec-validator, schemathesis) and `knox4` (Knox 4, to be put in front by PYTHONPATH). For Node:
# `node_modules` (jose, @hey-api/openapi-ts, TypeScript). What is there already is left alone. Where only one of the two can
# be installed it is, and the script fails at its end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
knox4=django-rest-knox==4.2.0

say() { echo "interop: $*"; }

install_python() {
    pip() { venv/bin/python -m pip --quiet --no-input --disable-pip-version-check "$@"; }
    rm -rf venv knox4 &&
        python3 -m venv venv &&
        pip install --no-deps --only-binary :all: -r "$here/requirements.txt" &&
        pip install --no-deps --only-binary :all: --target knox4 "$knox4"
}

install_node() {
    rm -rf node_modules &&
        cp "$here/package.json" "$here/package-lock.json" . &&
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
}

# What is too old would be installed, or not, and fail with a message about something else.
is_old_python3() { ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; }
is_old_node() { ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; }

part() { # name, interpreter, the oldest version that does, files with the pinned versions
    local name=$1 interpreter=$2 oldest=$3 pins
    shift 3
    command -v "$interpreter" >/dev/null || { say "$interpreter is not installed" >&2; return 1; }
    if "is_old_$interpreter"; then
        say "$interpreter is $("$interpreter" --version); it must be $oldest or later" >&2
        return 1
    fi
    # The version of the interpreter too: what is installed does not outlive it.
    pins=$(cat "$here/install.sh" "${@/#/$here/}" <("$interpreter" --version) | sha256sum)
    if [ "$(cat "$name.stamp" 2>/dev/null)" != "$pins" ]; then
        rm -f "$name.stamp"
        "install_$name" || { say "what is for $name could not be installed" >&2; return 1; }
        echo "$pins" >"$name.stamp"
    fi
    say "what is for $name is installed"
}

mkdir -p "$here/../../target/interop"
cd "$here/../../target/interop"
exec 9>lock
flock 9
outcome=0
part python python3 3.10 requirements.txt || outcome=1
part node node 20.19 package.json package-lock.json || outcome=1
# The build script looks again.
touch "$here/../build.rs"
exit $outcome
