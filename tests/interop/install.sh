#!/usr/bin/env bash
# Installs what the interoperability tests talk to, into target/interop. For Python: `venv` (PyJWT, Django, drf-jwt-knox,
# Knox 5, Valkey, openapi-spec-validator, schemathesis) and `knox4` (Knox 4, to be put in front by PYTHONPATH). For Node:
# `node_modules` (jose, @hey-api/openapi-ts, TypeScript). And `proxies` (Traefik, Envoy). What is there already is left alone.
# Where not all of it can be installed the rest is, and the script fails at its end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
knox4=django-rest-knox==4.2.0

say() { echo "interop: $*"; }

pip_in() { # venv, what to install
    local venv=$1
    shift
    "$venv/bin/python" -m pip --quiet --no-input --disable-pip-version-check \
        install --no-deps --only-binary :all: "$@"
}

install_python() {
    rm -rf venv knox4 &&
        python3 -m venv venv &&
        pip_in venv -r "$here/requirements.txt" &&
        pip_in venv --target knox4 "$knox4"
}

install_proxies() {
    rm -rf proxies &&
        python3 -m venv proxies &&
        pip_in proxies -r "$here/proxies.txt"
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
        "install_$name" || { say "$name: could not be installed" >&2; return 1; }
        echo "$pins" >"$name.stamp"
    fi
    say "$name: installed"
}

mkdir -p "$here/../../target/interop"
cd "$here/../../target/interop"
exec 9>lock
flock 9
outcome=0
part python python3 3.10 requirements.txt || outcome=1
part proxies python3 3.10 proxies.txt || outcome=1
part node node 20.19 package.json package-lock.json || outcome=1
# The build script looks again.
touch "$here/../build.rs"
exit $outcome
