#!/usr/bin/env bash
# Compiles and runs the comparison of disk engines on a build of Sluice. Needs librocksdb-dev, which nothing else here does;
# ROCKSDB=DIR: unpacked there instead of installed. Root also sees a full disk (a tmpfs of 64 MiB).
#   tests/kvstore/disk_engines/run.sh BUILD_DIR FOLDER
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 BUILD_DIR FOLDER" >&2; exit 2; }
build=$1; folder=$2; rocks=${ROCKSDB:-}
here=$(cd "$(dirname "$0")/../../.." && pwd)
libs=("$build"/kvstore/libsluice_kvstore.a "$build"/kvtransfer/wire/libsluice_kvtransfer_wire.a
  "$build"/kvtransfer/libsluice_kvtransfer_plan.a "$build"/common/prefix/libsluice_common_prefix.a
  "$build"/common/net/libsluice_common_net.a "$build"/common/libsluice_common.a)
mkdir -p "$folder"
g++ -std=c++23 -O2 -I "$here" ${rocks:+-isystem "$rocks/usr/include" "-Wl,-rpath,$rocks/usr/lib/x86_64-linux-gnu" -L "$rocks/usr/lib/x86_64-linux-gnu"} \
  -o "$folder/disk_engines" "$here/tests/kvstore/disk_engines/main.cpp" "${libs[@]}" -lrocksdb -lhiredis -lsodium -lcrypto -lfmt
export LD_LIBRARY_PATH=${rocks:+$rocks/usr/lib/x86_64-linux-gnu:$rocks/lib/x86_64-linux-gnu}
"$folder/disk_engines" "$folder/data"
if [ "$(id -u)" -eq 0 ]; then
  mkdir -p "$folder/small"
  mount -t tmpfs -o size=64m tmpfs "$folder/small"
  trap 'umount "$folder/small"' EXIT
  "$folder/disk_engines" "$folder/small" --full
fi
