#!/usr/bin/env bash
# Puts an nvcc that builds the CUDA rooms (130 MB of Python packages, no driver needed) under DIR, kept once there, and
# prints where: cmake -DCUDAToolkit_ROOT="$(tools/cuda_toolkit.sh DIR)". For CI; whoever has a toolkit needs none of this.
#   tools/cuda_toolkit.sh [DIR]        default: .cache/cuda
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-.cache/cuda}
want=$(sha256sum tools/cuda_requirements.txt | cut -c1-16)
if [ "$(cat "$dir/.sluice" 2>/dev/null)" != "$want" ]; then
  echo 'cuda_toolkit: installing nvcc' >&2
  rm -rf "$dir"
  python3 -m venv "$dir"
  "$dir/bin/pip" install -q --disable-pip-version-check --no-deps -r tools/cuda_requirements.txt >&2
  root=$(echo "$dir"/lib/python3*/site-packages/nvidia/cu13)
  # CMake looks for names that only the full toolkit has.
  ln -s lib "$root/lib64"
  ln -s "$(basename "$root"/lib/libcudart.so.*)" "$root/lib/libcudart.so"
  echo "$want" > "$dir/.sluice"
fi
realpath "$dir"/lib/python3*/site-packages/nvidia/cu13
