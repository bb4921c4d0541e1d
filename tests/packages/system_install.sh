#!/usr/bin/env bash
# Makes the system in which packages are tested, and installs the older ones there. For tools/package_test.sh, which gives
# $work (a folder with debs/, old/, layers/, out/ and, where $full is set, the Debian in clean/) and a namespace of mounts
# of its own: what is mounted here ends with it. Ends as system_boot.sh.
set -euo pipefail

mount -t tmpfs none "$work/layers"
mkdir "$work"/layers/{upper,inner,root}
lower=/
[ -z "$full" ] || lower=$work/clean
root=$work/layers/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/layers/upper,workdir=$work/layers/inner" "$root"
mkdir -p "$root"/{proc,sys,dev,run,tmp,test,left}
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 none "$root/dev"
for d in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
  set -- $d
  mknod -m 666 "$root/dev/$1" c "$2" "$3"
done
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t tmpfs none "$root/test"
cp -r "$work/debs" "$work/old" tests/packages/installed.py docs/install.md "$root/test"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
find "$root"/{etc,usr,var,opt} -xdev -name '*sluice*' | sed "s|^$root||" >"$root/test/before"
if [ -n "$full" ]; then
  cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
  chroot "$root" apt-get update -q >/dev/null
  chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get install -y -q --no-install-recommends /test/old/*.deb' >"$work/apt.log" 2>&1 ||
    { tail -n 20 "$work/apt.log"; exit 1; }
  echo "apt installed them with $(grep -c '^Get:.*http' "$work/apt.log") packages of Debian"
else
  chroot "$root" sh -c 'dpkg -i /test/old/*.deb' >"$work/dpkg.log" 2>&1 || { tail -n 20 "$work/dpkg.log"; exit 1; }
fi
exec unshare --net --pid --fork --cgroup --ipc --uts --kill-child tests/packages/system_boot.sh
