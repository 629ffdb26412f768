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
        cp "$here/package.json" . &&
        npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
}

part() { # name, interpreter, file with the pinned versions
    command -v "$2" >/dev/null || { say "$2 is not installed" >&2; return 1; }
    # The version of the interpreter too: what is installed does not outlive it.
    local pins
    pins=$(cat "$here/install.sh" "$here/$3" <("$2" --version) | sha256sum)
    if [ "$(cat "$1.stamp" 2>/dev/null)" != "$pins" ]; then
        rm -f "$1.stamp"
        "install_$1" || { say "what is for $1 could not be installed" >&2; return 1; }
        echo "$pins" >"$1.stamp"
    fi
    say "what is for $1 is installed"
}

mkdir -p "$here/../../target/interop"
cd "$here/../../target/interop"
exec 9>lock
flock 9
outcome=0
part python python3 requirements.txt || outcome=1
part node node package.json || outcome=1
# The build script looks again.
touch "$here/../build.rs"
exit $outcome
