#!/usr/bin/env bash
# Installs what the interoperability tests talk to, into target/interop: `venv` (PyJWT, Django, drf-jwt-knox, Knox 5),
# `knox4` (Knox 4, to be put in front by PYTHONPATH) and `node_modules` (jose). Does nothing if all is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
knox4=django-rest-knox==4.2.0

fail() { echo "interop: $*" >&2; exit 1; }
for tool in python3 node npm; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done
mkdir -p "$here/../../target/interop"
cd "$here/../../target/interop"
exec 9>lock
flock 9

# The versions of the interpreters too: an environment does not outlive its Python.
pins=$(cat "$here"/{install.sh,requirements.txt,package.json} <(python3 --version) <(node --version) | sha256sum)
if [ "$(cat stamp 2>/dev/null)" = "$pins" ]; then
    echo 'interop: installed'
    exit
fi

rm -rf stamp venv knox4 node_modules
python3 -m venv venv >venv.log 2>&1 || fail "python3 cannot make a virtual environment: $(tail -n 1 venv.log)"
pip() { venv/bin/python -m pip --quiet --no-input --disable-pip-version-check "$@"; }
pip install --no-deps --only-binary :all: -r "$here/requirements.txt" || fail 'pip failed'
pip install --no-deps --only-binary :all: --target knox4 "$knox4" || fail 'pip failed'
cp "$here/package.json" .
npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error || fail 'npm failed'
echo "$pins" >stamp
echo 'interop: installed'
