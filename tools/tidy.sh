#!/usr/bin/env bash
# Runs clang-tidy over the sources, in parallel, with a progress count. tools/tidy.sh BUILD_DIR [FILE ...]
# CI gives it the files changed against SLUICE_TIDY_BASE when that is set; otherwise everything is checked.
set -euo pipefail
build=$1; shift
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  mapfile -t files < <(git ls-files 'common/*.cpp' 'coordinator/*.cpp' 'prefill_node/*.cpp' 'decode_node/*.cpp' 'engine/*.cpp' \
    'kvtransfer/*.cpp' | if [ -n "${SLUICE_TIDY_BASE:-}" ]; then grep -Fxf <(git diff --name-only "$SLUICE_TIDY_BASE") || true; else cat; fi)
fi
[ ${#files[@]} -eq 0 ] && { echo 'clang-tidy: nothing to check'; exit 0; }
echo "clang-tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" | xargs -0 -P "$(nproc)" -n 4 clang-tidy-19 -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
echo 'clang-tidy: clean'
