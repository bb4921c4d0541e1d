#!/usr/bin/env bash
# Makes BUILD/venv with the Python packages that the client test needs (tests/system/requirements.txt). Kept once made.
set -euo pipefail
build=$1
want=$(sha256sum tests/system/requirements.txt | cut -c1-16)
[ "$(cat "$build/venv/.sluice" 2>/dev/null)" = "$want" ] && exit 0
echo 'test_venv: installing the openai client'
rm -rf "$build/venv"
python3 -m venv "$build/venv"
"$build/venv/bin/pip" install -q --disable-pip-version-check -r tests/system/requirements.txt
echo "$want" > "$build/venv/.sluice"
