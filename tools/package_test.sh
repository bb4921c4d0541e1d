#!/usr/bin/env bash
# Installs the Debian packages in a system that is thrown away, which systemd boots: an older version, the cluster served by
# its units, upgrade, back-up, remove, purge (tests/packages/installed.py).
#   tools/package_test.sh [--full] [BUILD]
#     without --full  the system is this machine's, under an overlay: dpkg installs, nothing is downloaded
#     --full          a Debian 12 with nothing but apt and python3 in it, by mmdebstrap: apt resolves what they depend on;
#                     before it the packages are built twice: the same bytes; after it the image of deploy/docker
# Needs root, and a kernel with mount and network namespaces. Exit 77 where it cannot run.
#   --keep DIR   keeps the packages        --debs DIR   takes those, and builds none
set -euo pipefail
cd "$(dirname "$0")/.."

full=
keep=
ready_made=
build=build
while [ $# -gt 0 ]; do
  case "$1" in
    --full) full=1 ;;
    --keep) keep=$2; shift ;;
    --debs) ready_made=$2; shift ;;
    -h | --help) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "package_test: unknown option $1" >&2; exit 2 ;;
    *) build=$1 ;;
  esac
  shift
done

skip() { echo "[SKIPPED] $*"; exit 77; }
say() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
[ "$(id -u)" -eq 0 ] || skip 'installing packages needs root'
unshare --mount --net --pid --fork --cgroup --ipc --uts true 2>/dev/null || skip 'this kernel or container allows no namespaces'
unshare --mount --cgroup mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || skip 'no cgroup2 can be mounted here, without which systemd does not boot'
[ -x /lib/systemd/systemd ] || [ -n "$full" ] || skip 'systemd is missing; tools/install_deps.sh test'
for tool in cpack dpkg-deb dpkg-shlibdeps; do command -v $tool >/dev/null || skip "$tool is missing; tools/install_deps.sh package-test"; done
build=$(realpath "$build")
[ -f "$build/CPackConfig.cmake" ] || { echo "package_test: $build is not configured" >&2; exit 2; }

work=$(mktemp -d "${TMPDIR:-/var/tmp}/sluice-packages.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

make_packages() { cpack --config "$build/CPackConfig.cmake" -B "$1" >"$1.log" 2>&1 || { tail -n 30 "$1.log"; exit 1; }; mkdir "$2"; mv "$1"/*.deb "$2"; rm -rf "$1"; }
if [ -n "$ready_made" ]; then
  mkdir "$work/debs"
  cp "$ready_made"/*.deb "$work/debs"
else
  say 'packages of the programs that are built'
  cmake --build "$build" --target sluice_package_files >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; exit 1; }
  make_packages "$work/first" "$work/debs"
fi
ls -l "$work/debs" | awk 'NR > 1 {print $5, $9}'
if command -v lintian >/dev/null; then
  say 'lintian'
  lintian --fail-on error,warning "$work"/debs/*.deb 2> >(grep -v 'root privileges' >&2) && echo 'no errors, no warnings'
fi
if [ -n "$full" ] && [ -z "$ready_made" ]; then
  say 'the same once more: equal bytes'
  sleep 1.1  # another second: times of files would show
  make_packages "$work/second" "$work/again"
  for f in "$work"/debs/*.deb; do cmp "$f" "$work/again/$(basename "$f")"; done
  sha256sum "$work"/debs/*.deb | sed "s|$work/debs/||"
fi
[ -z "$keep" ] || { mkdir -p "$keep"; cp "$work"/debs/*.deb "$keep"; }

# A version before this one, whose configuration read otherwise.
mkdir "$work/old"
for f in "$work"/debs/*.deb; do
  rm -rf "$work/unpacked"
  dpkg-deb -R "$f" "$work/unpacked"
  sed -i 's/^Version: .*/Version: 0.0.9-1/' "$work/unpacked/DEBIAN/control"
  [ ! -f "$work/unpacked/etc/sluice/coordinator.toml" ] || echo '# as of 0.0.9' >>"$work/unpacked/etc/sluice/coordinator.toml"
  dpkg-deb --root-owner-group -Znone -b "$work/unpacked" "$work/old/$(basename "$f" | sed 's/_[^_]*_/_0.0.9-1_/')" >/dev/null
done
rm -rf "$work/unpacked"

if [ -n "$full" ]; then
  command -v mmdebstrap >/dev/null || skip 'mmdebstrap is missing; tools/install_deps.sh package-test'
  say 'a clean Debian 12 (mmdebstrap)'
  mmdebstrap --quiet --variant=apt --include=python3 bookworm "$work/clean"
fi

say 'boot it with systemd; install, serve, upgrade, back up, remove, purge'
mkdir "$work/layers" "$work/out"
export work full
timeout 400 unshare --mount tests/packages/system_install.sh || { echo "package_test: the system ended with $?" >&2; cat "$work/out/log" 2>/dev/null || true; exit 1; }
cat "$work/out/log" 2>/dev/null || { echo 'package_test: systemd did not start the test' >&2; exit 1; }
[ "$(cat "$work/out/result")" = success ]
if [ -n "$full" ] && command -v buildah >/dev/null; then
  say 'the image of deploy/docker'
  tools/image_test.sh "$work/debs" "$work/clean"
fi
say 'package_test: ok'
