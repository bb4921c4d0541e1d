#!/usr/bin/env bash
# Runs every fuzz target of a build for SECONDS_EACH (default 60) from its committed seeds, one on each core; begins no
# further one after a finding.
# tools/fuzz.sh BUILD_DIR [SECONDS_EACH]; the new corpus and findings stay in BUILD_DIR/fuzz.
set -euo pipefail
build=$1; seconds=${2:-60}
here=$(cd "$(dirname "$0")/.." && pwd)

one() {
  local target=$1 name seeds log
  name=$(basename "$target"); seeds=$here/tests/fuzz/seeds/${name%_fuzz}; log=$build/fuzz/$name.log
  [ -d "$seeds" ] || seeds=
  mkdir -p "$build/fuzz/$name"
  # 255 stops xargs.
  "$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 -artifact_prefix="$build/fuzz/" \
    "$build/fuzz/$name" ${seeds:+"$seeds"} >"$log" 2>&1 || { tail -40 "$log"; echo "fuzz: $name has a finding"; exit 255; }
  echo "fuzz: $name, $(grep '^Done' "$log")"
}
export -f one
export build seconds here

targets=()
for target in "$build"/bin/*_fuzz "$build"/bin/fuzz_*; do [ -x "$target" ] && targets+=("$target"); done
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no targets in $build/bin"; exit 1; }
echo "fuzz: ${#targets[@]} targets, $seconds s each"
printf '%s\0' "${targets[@]}" | xargs -0 -P "$(nproc)" -n 1 bash -euo pipefail -c 'one "$1"' _ || { echo 'fuzz: a finding'; exit 1; }
echo "fuzz: ${#targets[@]} targets, no finding"
