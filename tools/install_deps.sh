#!/usr/bin/env bash
# Installs what Sluice builds and tests with, by Debian package name (Debian 12). Does nothing when all is there.
#   tools/install_deps.sh               build and run
#   tools/install_deps.sh test          also Prometheus, a browser, etcd, Redis, lintian and more, for the tests of what is shipped
#   tools/install_deps.sh package       what packages are built with
#   tools/install_deps.sh package-test  what they are tested with, in systems made for it
#   tools/install_deps.sh ci            also the clang tools
set -euo pipefail

packages=(
  g++ cmake ninja-build make pkg-config git ca-certificates
  libucx-dev ucx-utils libboost1.81-dev nlohmann-json3-dev prometheus-cpp-dev catch2 libspdlog-dev libfmt-dev libcli11-dev libtomlplusplus-dev
  libssl-dev libsodium-dev libhiredis-dev libutf8proc-dev libzstd-dev zlib1g-dev liblz4-dev libxxhash-dev libdnnl-dev ocl-icd-opencl-dev libeigen3-dev libbenchmark-dev
  python3 python3-venv procps iproute2 openssl
)
case "${1:-}" in test | ci) packages+=(prometheus chromium etcd-server etcd-client redis-server) ;; esac
case "${1:-}" in test | ci | package | package-test) packages+=(dpkg-dev) ;; esac
# They judge what is shipped; docker-compose reads the compose file, and runs nothing.
case "${1:-}" in test | ci | package-test) packages+=(lintian man-db mandoc zsh systemd nftables docker-compose) ;; esac
if [ "${1:-}" = package-test ]; then
  packages+=(mmdebstrap buildah)  # clean systems, images
fi
if [ "${1:-}" = ci ]; then
  packages+=(clang-19 clang-format-19 clang-tidy-22 libclang-rt-19-dev ccache)
fi

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "install_deps: installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install_deps: run as root or install sudo; missing: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
# Debian starts the services that it installs, and again at each boot. Tests want the programs alone.
services=()
[[ " ${missing[*]} " == *' prometheus '* ]] && services+=(prometheus)
[[ " ${missing[*]} " == *' etcd-server '* ]] && services+=(etcd)
[[ " ${missing[*]} " == *' redis-server '* ]] && services+=(redis-server)
policy=/usr/sbin/policy-rc.d
if [ ${#services[@]} -gt 0 ] && [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}"
if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
  "${as_root[@]}" systemctl --quiet disable "${services[@]}" 2>/dev/null || true
fi
