#!/usr/bin/env python3
"""What an operator does with installed packages, in a system of its own that systemd has booted: tools/package_test.sh makes it,
with an older version installed. Serves, upgrades, backs up, removes and purges, by the very commands of docs/install.md.

    installed.py --folder /test --installer apt|dpkg

The folder holds debs/ (the packages), install.md, and `before`: what was named after Sluice before the packages came.
"""
import argparse
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

CONFIG = Path("/etc/sluice")
CONFFILES = ("coordinator.toml", "prefill.toml", "decode.toml")
STATE = Path("/var/lib/sluice/coordinator.state")
UNITS = Path("/lib/systemd/system")
PACKAGES = ("sluice", "sluice-tools", "sluice-model-tiny")
PROGRAMS = ("sluice-coordinator", "sluice-prefill", "sluice-decode", "sluicectl", "sluice-bench", "sluice-profiler")
DAEMONS = ("sluice-coordinator", "sluice-prefill", "sluice-decode")
OWN_LINE = "# a line of the operator's\nmax-waiting = 77\n"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
ENV = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/tmp"}


def say(text):
    print(f"== {text}", flush=True)


def run(*command, check=True):
    print("$", *command, flush=True)
    r = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=ENV, timeout=120)
    if check and r.returncode != 0:
        raise AssertionError(f"ended with {r.returncode}:\n{r.stdout[-3000:]}{r.stderr[-3000:]}")
    return r.stdout


def until(done, what, limit_s=30):
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(0.1)


def ready():
    return subprocess.run(["sluicectl", "status"], capture_output=True, env=ENV).returncode == 0


class Page:
    """The commands that the page shows, section by section."""

    def __init__(self, text):
        self._text = text

    def blocks(self, section):
        body = re.search(rf"(?ms)^## {section}\n(.*?)(?=^## |\Z)", self._text)[1]
        return [b for language, b in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", body) if not language]


def shell(block):
    """Runs a block line by line, as root already."""
    for line in block.splitlines():
        if "sluicectl status" in line:
            until(ready, "the cluster is ready")  # nodes join a moment after they are up
        print(run("bash", "-ec", "sudo() { \"$@\"; }; " + line), end="", flush=True)


def install(folder, installer):
    debs = sorted((folder / "debs").glob("*.deb"))
    assert len(debs) == len(PACKAGES), debs
    if installer == "apt":
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold", *debs)
    else:
        run("dpkg", "--force-confold", "-i", *debs)


def version():
    return run("dpkg-query", "-W", "-f", "${Version}", "sluice")


def ours():
    """Every path of the system whose name has to do with Sluice."""
    return set(run("find", "/etc", "/usr", "/var", "/opt", "-xdev", "-name", "*sluice*").splitlines())


def main_pid(unit):
    return int(run("systemctl", "show", "-P", "MainPID", unit))


def check_files():
    sluice = pwd.getpwnam("sluice")
    assert sluice.pw_shell.endswith("nologin"), sluice
    for name in CONFFILES:
        s = (CONFIG / name).stat()
        assert (s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)) == (0, 0, 0o600), (name, s)
    s = STATE.parent.stat()
    assert (s.st_uid, stat.S_IMODE(s.st_mode)) == (sluice.pw_uid, 0o750), s
    listed = run("dpkg", "-L", "sluice", "sluice-tools").splitlines()
    for program in PROGRAMS:
        assert re.fullmatch(r"sluice\S* \d+\.\d+\.\d+\n", run(*NOBODY, program, "--version"))
        for page in (f"/usr/share/man/man1/{program}.1.gz", f"/usr/share/bash-completion/completions/{program}",
                     f"/usr/share/zsh/vendor-completions/_{program}"):
            assert page in listed, page


def check_units():
    for unit in sorted(UNITS.glob("sluice-*.service")):
        r = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit).replace("@.", "@a.")],
                           capture_output=True, text=True, env=ENV)
        assert not [line for line in r.stderr.splitlines() if "sluice" in line], r.stderr
        said = run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=30", unit)
        print(said.splitlines()[-1], flush=True)


def check_processes(units):
    """Each runs as its user without capabilities, under the filter, and its secrets are nobody else's."""
    for unit in units:
        status = Path(f"/proc/{main_pid(unit)}/status").read_text()
        uid = pwd.getpwnam("sluice").pw_uid
        for wanted in (rf"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n", r"CapEff:\t0+\n", r"NoNewPrivs:\t1\n", r"Seccomp:\t2\n"):
            assert re.search(wanted, status), (unit, wanted, status)
        r = subprocess.run([*NOBODY, "cat", *Path(f"/run/credentials/{unit}.service").glob("*.toml")], capture_output=True)
        assert r.returncode != 0, unit
        command = Path(f"/proc/{main_pid(unit)}/cmdline").read_bytes().split(b"\0")
        assert command[1] == b"--config" and len(command) == 4, command


def check_restart_after_a_crash():
    before = main_pid("sluice-decode")
    os.kill(before, 9)
    until(lambda: main_pid("sluice-decode") not in (0, before) and ready(), "a decode node is back after SIGKILL")


def check_bad_flags_stay_down():
    file = CONFIG / "prefill-b.toml"
    file.write_text("no-such-key = 1\n")
    subprocess.run(["systemctl", "start", "sluice-prefill@b"], capture_output=True, env=ENV)
    time.sleep(3)  # RestartSec is 2
    assert run("systemctl", "show", "-P", "ActiveState", "sluice-prefill@b") == "failed\n"
    assert run("systemctl", "show", "-P", "NRestarts", "sluice-prefill@b") == "0\n"
    run("systemctl", "reset-failed", "sluice-prefill@b")
    file.unlink()


def credentials():
    """A token as a file of its own, by the words of the example; then all as it was."""
    example = Path("/usr/share/doc/sluice/examples/credentials.conf")
    text = example.read_text()
    token = CONFIG / "cluster-token"
    for line in re.findall(r"(?m)^#   ((?:install|openssl) .*)$", text):
        if not shutil.which("openssl"):  # a bare Debian has none
            line = line.replace("openssl rand -hex 32", "python3 -c 'import secrets; print(secrets.token_hex(32))'")
        run("bash", "-ec", line)
    secret = token.read_text().strip()
    assert re.fullmatch(r"[0-9a-f]{64}", secret) and stat.S_IMODE(token.stat().st_mode) == 0o600
    (line,) = re.findall(r'(?m)^#   (\S+ = ".*")$', text)
    coordinator = "sluice-coordinator"
    before = {d: (CONFIG / f"{d.removeprefix('sluice-')}.toml").read_text() for d in DAEMONS}

    def give(unit):
        folder = Path(f"/etc/systemd/system/{unit}.service.d")
        folder.mkdir()
        (folder / "credentials.conf").write_text(text)
        own = line.replace(f"/{coordinator}.service/", f"/{unit}.service/")
        (CONFIG / f"{unit.removeprefix('sluice-')}.toml").write_text(before[unit] + own + "\n")

    give(coordinator)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", coordinator)
    until(lambda: run("systemctl", "show", "-P", "ActiveState", "sluice-decode") in ("activating\n", "failed\n"),
          "a node without the token is refused, and ends")
    assert not ready()
    for unit in ("sluice-prefill", "sluice-decode"):
        give(unit)
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", check=False)
    run("systemctl", "restart", *DAEMONS[1:])
    until(ready, "nodes with the token serve")
    for unit in DAEMONS:
        laid = Path(f"/run/credentials/{unit}.service/cluster-token")
        assert laid.read_text().strip() == secret
        assert subprocess.run([*NOBODY, "cat", laid], capture_output=True).returncode != 0, unit
        process = Path(f"/proc/{main_pid(unit)}")
        assert secret.encode() not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes(), unit

    token.unlink()
    for unit in DAEMONS:
        shutil.rmtree(f"/etc/systemd/system/{unit}.service.d")
        (CONFIG / f"{unit.removeprefix('sluice-')}.toml").write_text(before[unit])
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", *DAEMONS)
    until(ready, "ready as before")


def nodes():
    return sorted(re.findall(r'"node": ?"([^"]+)"', json.dumps(json.loads(run(*NOBODY, "sluicectl", "--json", "--run-dir", "/tmp/n", "nodes")))))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--folder", type=Path, required=True)
    args.add_argument("--installer", choices=("apt", "dpkg"), required=True)
    args = args.parse_args()
    os.umask(0o022)
    page = Page((args.folder / "install.md").read_text())
    before = set((args.folder / "before").read_text().splitlines())
    old = version()

    say(f"{old} is installed")
    check_files()
    check_units()
    assert run("systemctl", "is-active", *DAEMONS, check=False).split() == ["inactive"] * 3, "installing starts nothing"

    say("one machine")
    serve, second = page.blocks("One machine")
    shell(serve)
    assert {"prefill-0", "decode-0"} <= set(nodes())
    check_processes(DAEMONS)
    shell(second)
    until(lambda: "prefill-a" in nodes(), "a second prefill node")
    check_restart_after_a_crash()
    check_bad_flags_stay_down()

    say("upgrade over files that were changed")
    coordinator = CONFIG / "coordinator.toml"
    coordinator.write_text(coordinator.read_text() + OWN_LINE)
    own_node = (CONFIG / "prefill-a.toml").read_text()
    pids = [main_pid(d) for d in DAEMONS]
    (upgrade,) = page.blocks("Upgrading")
    first, _, rest = upgrade.partition("\n")
    assert first.startswith("sudo apt install"), first
    install(args.folder, args.installer)
    assert version() != old, "an upgrade"
    assert pids == [main_pid(d) for d in DAEMONS], "nothing is restarted by it"
    assert OWN_LINE in coordinator.read_text(), "the operator's line stays"
    assert (CONFIG / "coordinator.toml.dpkg-dist").exists(), "the package's own lies beside it"
    assert (CONFIG / "prefill-a.toml").read_text() == own_node
    check_files()
    shell(rest.replace("sluicectl nodes", "sluicectl status\nsluicectl nodes"))
    assert not set(pids) & {main_pid(d) for d in DAEMONS}
    assert run("sluicectl", "chat", "Hello", "--max-tokens", "8").strip()

    say("back-up")
    copy, restore = page.blocks("Back-up")
    run("sluicectl", "slo", "set", "gold", "--ttft-ms", "321")
    shell(copy)
    run("sluicectl", "slo", "remove", "gold")
    shell(restore)
    until(ready, "ready after the restoration")
    assert "321" in run("sluicectl", "slo", "get"), "what was set is back"
    assert STATE.stat().st_uid == pwd.getpwnam("sluice").pw_uid

    say("secrets in files of their own")
    credentials()

    say("scripts may run again")
    run("/var/lib/dpkg/info/sluice.postinst", "configure", old)
    run("/var/lib/dpkg/info/sluice.postinst", "configure", "")
    run("/var/lib/dpkg/info/sluice.prerm", "upgrade", old)
    check_files()

    say("remove ends the daemons, and leaves configuration and state")
    run("dpkg", "--remove", *PACKAGES)
    assert not Path("/usr/bin/sluicectl").exists() and coordinator.exists() and STATE.exists()
    assert "active" not in run("systemctl", "is-active", *DAEMONS, "sluice-prefill@a", check=False).split()
    postrm = Path("/var/lib/dpkg/info/sluice.postrm").read_text()

    say("purge leaves nothing")
    run("dpkg", "--purge", *PACKAGES)
    Path("/var/backups/sluice-coordinator.state").unlink()  # the operator's
    left = ours() - before
    assert not left, f"left: {sorted(left)}"
    assert not CONFIG.exists() and "sluice" not in {p.pw_name for p in pwd.getpwall()}
    again = Path("/tmp/postrm")
    again.write_text(postrm)
    run("sh", again, "purge")
    print("installed: ok", flush=True)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        journal = subprocess.run(["journalctl", "-q", "--no-pager", "-o", "cat", "-n", "60", "-u", "sluice-*"], capture_output=True,
                                 text=True, env=ENV)
        print("---- the daemons' journal\n" + journal.stdout, flush=True)
        raise
