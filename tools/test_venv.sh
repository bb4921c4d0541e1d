#!/usr/bin/env bash
# tools/test_venv.sh BUILD [peers|clients|schema]: makes BUILD/venv with the Python packages that the system tests need
# (tests/system/requirements.txt), BUILD/peers with other people's load tools (peers_requirements.txt), BUILD/clients with
# the larger of other people's clients (clients_requirements.txt), or BUILD/venv-schema with a validator of JSON schemas
# (tests/text_grammar/requirements.txt). Kept once made.
set -euo pipefail
build=$1
name=venv list=tests/system/requirements.txt
case "${2:-}" in
  peers | clients) name=$2 list=tests/system/$2_requirements.txt ;;
  schema) name=venv-schema list=tests/text_grammar/requirements.txt ;;
esac
want=$(sha256sum "$list" | cut -c1-16)
[ "$(cat "$build/$name/.sluice" 2>/dev/null)" = "$want" ] && exit 0
echo "test_venv: installing $(paste -sd ' ' "$list")"
rm -rf "${build:?}/$name"
python3 -m venv "$build/$name"
"$build/$name/bin/pip" install -q --disable-pip-version-check -r "$list"
# The source package of the validator carries the cases of JSON-Schema-Test-Suite.
if [ "$name" = venv-schema ]; then
  "$build/$name/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary jsonschema 'jsonschema>=4.18,<5' -d "$build/$name/suite"
  tar -xzf "$build/$name/suite"/jsonschema-*.tar.gz -C "$build/$name/suite"
fi
echo "$want" > "$build/$name/.sluice"
