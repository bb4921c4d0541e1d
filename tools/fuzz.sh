#!/usr/bin/env bash
# Runs every fuzz target of a build for SECONDS_EACH (default 60) from its committed seeds; stops at the first finding.
# tools/fuzz.sh BUILD_DIR [SECONDS_EACH]; the new corpus and findings stay in BUILD_DIR/fuzz.
set -euo pipefail
build=$1; seconds=${2:-60}
here=$(cd "$(dirname "$0")/.." && pwd)
count=0
for target in "$build"/bin/*_fuzz "$build"/bin/fuzz_*; do
  [ -x "$target" ] || continue
  name=$(basename "$target"); seeds=$here/tests/fuzz/seeds/${name%_fuzz}
  mkdir -p "$build/fuzz/$name"
  echo "fuzz: $name, $seconds s"
  log=$build/fuzz/$name.log
  "$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 -artifact_prefix="$build/fuzz/" \
    "$build/fuzz/$name" $([ -d "$seeds" ] && echo "$seeds") >"$log" 2>&1 || { tail -40 "$log"; echo "fuzz: $name has a finding"; exit 1; }
  grep '^Done' "$log"
  count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "fuzz: no targets in $build/bin"; exit 1; }
echo "fuzz: $count targets, no finding"
