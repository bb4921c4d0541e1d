#!/usr/bin/env python3
"""The three machines of docs/install.md: its configurations and its firewall rules, read from the page, in three network
namespaces on a bridge of their own. Exit 77 where namespaces or nft are not to be had."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "sluice-tiny"
PAGE = ROOT / "docs" / "install.md"


def sh(*command, **more):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=60, **more).stdout


def blocks(kind):
    """The page's blocks of a kind, by the last number of the address in their first line."""
    found = {}
    for block in re.findall(rf"(?ms)^```{kind}\n(.*?)^```", PAGE.read_text()):
        found[re.search(r"10\.0\.0\.(\d)", block.splitlines()[0])[1]] = block
    assert sorted(found) == ["1", "2", "3"], kind
    return found


class Machines:
    """Three namespaces, 10.0.0.1 to 10.0.0.3, and a fourth, 10.0.0.4, which is no part of the cluster."""

    def __init__(self):
        self._tag = f"slc{os.getpid()}"
        self._made = []
        self._processes = []

    def name(self, n):
        return f"{self._tag}-{n}"

    def make(self):
        switch = self.name(0)
        self._namespace(switch)
        sh("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        sh("ip", "-n", switch, "link", "set", "bridge", "up")
        for n in "1234":
            machine = self.name(n)
            self._namespace(machine)
            sh("ip", "-n", machine, "link", "add", "eth0", "type", "veth", "peer", "name", f"port{n}", "netns", switch)
            sh("ip", "-n", switch, "link", "set", f"port{n}", "master", "bridge", "up")
            sh("ip", "-n", machine, "addr", "add", f"10.0.0.{n}/24", "dev", "eth0")
            sh("ip", "-n", machine, "link", "set", "eth0", "up")

    def _namespace(self, name):
        sh("ip", "netns", "add", name)
        self._made.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")

    def run(self, n, *command, text=None, env=None, check=True):
        return subprocess.run(["ip", "netns", "exec", self.name(n), *map(str, command)], input=text, text=True, capture_output=True,
                              timeout=60, check=check, env={**os.environ, **(env or {})})

    def start(self, n, log, *command):
        p = subprocess.Popen(["ip", "netns", "exec", self.name(n), *map(str, command)], stdout=log, stderr=log)
        self._processes.append(p)
        return p

    def end(self):
        for p in reversed(self._processes):
            p.send_signal(signal.SIGTERM)
        codes = []
        for p in self._processes:
            try:
                codes.append(p.wait(40))
            except subprocess.TimeoutExpired:
                p.kill()
                codes.append(p.wait())
        self._processes = []
        return codes

    def take_down(self):
        self.end()
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def closed(machines, n, address, port):
    """Whether machine n cannot connect there."""
    host = f"10.0.0.{address}"
    r = machines.run(n, "timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}", check=False)
    return r.returncode != 0


def run(bin_dir, work, machines):
    configs, rules = blocks("toml"), blocks("nft")
    key = re.search(r'api-key = "(.*)"', configs["1"])[1]
    least, most = map(int, re.search(r'ucx-port-range = "(\d+)-(\d+)"', configs["3"]).groups())
    log = open(work / "log", "ab")
    machines.make()
    for n, program in (("1", "sluice-coordinator"), ("2", "sluice-prefill"), ("3", "sluice-decode")):
        machines.run(n, "nft", "-f", "-", text=rules[n])
        config = configs[n].replace("/srv/models/my-model", str(MODEL)).replace("/var/lib/sluice/", f"{work}/")
        file = work / f"{program}.toml"
        file.write_text(config)
        file.chmod(0o600)
        more = [] if n == "1" else ["--threads=1", "--kv-memory-mib=64"]
        machines.start(n, log, bin_dir / program, "--config", file, *more)
    ctl = [bin_dir / "sluicectl", "--run-dir", work / "none", "--url", "http://10.0.0.1:8000"]
    end = time.monotonic() + 60
    # From outside, as a client.
    while machines.run("4", *ctl, "status", env={"SLUICE_API_KEY": key}, check=False).returncode != 0:
        if time.monotonic() > end:
            raise AssertionError("the cluster is not ready\n" + (work / "log").read_text()[-4000:])
        time.sleep(0.2)
    nodes = json.loads(machines.run("1", *ctl, "--json", "nodes", env={"SLUICE_API_KEY": key}).stdout)
    assert {"prefill-0", "decode-0"} <= set(re.findall(r'"node": ?"([^"]+)"', json.dumps(nodes))), nodes
    answer = machines.run("4", *ctl, "chat", "Tell me about the sea.", "--max-tokens", "16", "--mode", "split", "--explain",
                          env={"SLUICE_API_KEY": key}, check=False)
    assert answer.returncode == 0 and "decode-0" in answer.stdout + answer.stderr, \
        answer.stdout + answer.stderr + (work / "log").read_text()[-4000:]
    assert machines.run("4", *ctl, "nodes", env={"SLUICE_API_KEY": "wrong"}, check=False).returncode != 0
    assert not closed(machines, "4", 1, 8000) and not closed(machines, "2", 1, 9000)
    listening = machines.run("3", "ss", "-Hltn").stdout
    ports = [int(p) for p in re.findall(r":(\d+)\s", listening)]
    ucx = [p for p in ports if least <= p <= most]
    assert ucx and set(ports) - set(ucx) == {9100, 9101}, f"ports of the decode node: {sorted(set(ports))}"
    for port in (9100, 9101, *ucx):
        assert closed(machines, "4", 3, port), f"a stranger reaches port {port} of the decode node"
    assert closed(machines, "4", 1, 9000) and closed(machines, "4", 2, 9101)
    assert not closed(machines, "1", 3, 9101) and not closed(machines, "2", 3, 9100)
    codes = machines.end()
    assert codes == [0, 0, 0], codes
    assert (work / "coordinator.state").exists()
    print("three machines: served; strangers reach port 8000 of the coordinator and nothing else")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--bin", type=Path, required=True)
    args = args.parse_args()
    for tool in ("ip", "nft", "ss"):
        if not shutil.which(tool):
            print(f"[SKIPPED] {tool} is missing; `tools/install_deps.sh test` installs it")
            return 77
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "nft", "list", "ruleset"], capture_output=True).returncode != 0:
        print("[SKIPPED] this user or kernel has no network namespaces with nftables")
        return 77
    work = Path(tempfile.mkdtemp(prefix="sluice-three-"))
    machines = Machines()
    try:
        run(args.bin, work, machines)
    finally:
        machines.take_down()
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
