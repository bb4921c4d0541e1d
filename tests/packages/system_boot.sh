#!/usr/bin/env bash
# Boots the system of system_install.sh with systemd, which runs installed.py and ends; its words are in $work/out/log, how
# it ended in $work/out/result. Runs as process 1 of its own namespaces. The kernel's settings are read-only there.
set -euo pipefail

root=$work/layers/root
ip link set lo up
umount "$root/proc"
mount -t proc proc "$root/proc"  # of this namespace of processes
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t sysfs -o ro none "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mkdir "$root/run/out"
mount --bind "$work/out" "$root/run/out"
# What this machine has enabled stays out: the test and what it starts is all that runs.
rm -rf "$root"/etc/systemd/system/*
mkdir -p "$root/etc/systemd/system"
installer=dpkg
[ -z "$full" ] || installer=apt
cat >"$root/etc/systemd/system/package-test.service" <<UNIT
[Unit]
DefaultDependencies=no
After=systemd-journald.service
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -B /test/installed.py --folder /test --installer $installer
ExecStopPost=/bin/sh -c 'echo \$SERVICE_RESULT >/run/out/result'
ExecStopPost=/bin/systemctl exit --force
StandardOutput=append:/run/out/log
StandardError=append:/run/out/log
UNIT
cat >"$root/etc/systemd/system/package-test.target" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=systemd-journald.service package-test.service
UNIT
cd "$root"
mount --make-rprivate /
pivot_root . left
umount -l /left
mount --make-rshared /  # systemd hands credentials over by mounts that propagate
exec env -i container=package-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=package-test.target --show-status=no
