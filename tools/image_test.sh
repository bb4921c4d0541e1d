#!/usr/bin/env bash
# Builds the image of deploy/docker/Dockerfile.cpu from packages and a Debian root, and runs its programs. No base image is
# downloaded: the root folder (mmdebstrap's) stands for debian:12-slim.
#   tools/image_test.sh DEBS ROOT
set -euo pipefail
cd "$(dirname "$0")/.."
debs=$1
root=$2
command -v buildah >/dev/null || { echo '[SKIPPED] buildah is missing'; exit 77; }

store=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-image.XXXXXX")
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
b() { buildah --root "$store/root" --runroot "$store/run" "$@"; }
trap 'b umount --all >/dev/null 2>&1 || true; rm -rf --one-file-system "$store"' EXIT

base=$(b from scratch)
b add -q "$base" "$root" / >/dev/null
b commit -q "$base" localhost/debian:12-slim >/dev/null
b bud -q --network host --pull-never --build-arg DEBIAN=localhost/debian:12-slim --build-context "debs=$debs" \
  -f deploy/docker/Dockerfile.cpu -t localhost/sluice . >"$store/build.log" 2>&1 || { tail -n 30 "$store/build.log"; exit 1; }
c=$(b from --pull-never localhost/sluice)
for program in sluice-coordinator sluice-prefill sluice-decode sluicectl; do b run "$c" -- "$program" --version; done
[ "$(b run "$c" -- id -un)" = sluice ] || { echo 'image_test: it does not run as sluice' >&2; exit 1; }
# A cluster in the container, and the image's own health check of its coordinator.
b run "$c" -- sh -ec '
  sluicectl --run-dir /tmp/run up --model /usr/share/sluice/models/sluice-tiny --port 8123 --threads 1 --kv-memory-mib 64 --detach
  SLUICE_HEALTH=127.0.0.1:8123 /usr/libexec/sluice-healthcheck
  sluicectl --run-dir /tmp/run chat "Tell me about the sea." --max-tokens 16
  sluicectl --run-dir /tmp/run down
  ! SLUICE_HEALTH=127.0.0.1:8123 /usr/libexec/sluice-healthcheck 2>/dev/null'
echo 'image_test: ok'
