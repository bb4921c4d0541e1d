#!/usr/bin/env python3
"""A network that is cut for real: three members of etcd, two coordinators, and rules of nftables that drop what passes.

Four machines are network namespaces on a bridge. The first two have a coordinator and a member of etcd each, the third has
the third member, the fourth all nodes. Clients ask each coordinator on its own, so that a side which does not answer cannot
hide behind the other. While they ask: each coordinator's machine in turn is cut off with its member of etcd, the smaller part
of three; a coordinator is cut off from every etcd; the nodes are; the members are from each other. Each time, on either side:
every new request is answered within LIMIT_S, with the answer of the undisturbed cluster; no coordinator loses a node and no node a
coordinator; never do two lead; the side without a majority refuses to change settings, and once the network is whole
again what the other side was told holds for both. --report FILE writes the figures.

Exit 77, which ctest counts as skipped, without root, network namespaces, nftables or etcd.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from ha_cluster import LIMIT_S, Cluster, Load, commit, in_a_folder, lacks, until
from processes import die_with_parent

CUT_S = 8.0   # longer than a coordinator's lease in etcd (5 s), and a node's at a coordinator
HEAL_S = 4.0
MEMBERS = (1, 2, 3)
NODES = 4
MACHINE = {"c0": 1, "c1": 2, "p0": NODES, "p1": NODES, "d0": NODES, "d1": NODES}


def sh(*command, text=None):
    r = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, timeout=30)
    if r.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {r.stderr}")
    return r.stdout


def address(machine):
    return f"10.77.0.{machine}"


class Network:
    """The machines. Everything ends with the namespaces that this process lives in."""

    def __init__(self):
        sh("mount", "-t", "tmpfs", "none", "/run")  # `ip netns` keeps its names there
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "bridge", "type", "bridge")
        sh("ip", "addr", "add", f"{address(254)}/24", "dev", "bridge")
        sh("ip", "link", "set", "bridge", "up")
        for m in (*MEMBERS, NODES):
            sh("ip", "netns", "add", f"m{m}")
            sh("ip", "-n", f"m{m}", "link", "set", "lo", "up")
            sh("ip", "link", "add", f"port{m}", "type", "veth", "peer", "name", "eth0", "netns", f"m{m}")
            sh("ip", "link", "set", f"port{m}", "master", "bridge", "up")
            sh("ip", "-n", f"m{m}", "addr", "add", f"{address(m)}/24", "dev", "eth0")
            sh("ip", "-n", f"m{m}", "link", "set", "eth0", "up")

    @staticmethod
    def on(machine):
        return ["ip", "netns", "exec", f"m{machine}"]

    def cut(self, machine, rules):
        """Drops what it sends or receives as the rules say: {hook: rule}."""
        chains = "".join(f"chain {hook} {{ type filter hook {hook} priority filter; policy accept; {rule} drop; }}\n"
                         for hook, rule in rules.items())
        sh(*self.on(machine), "nft", "-f", "-", text=f"table inet cut {{\n{chains}}}\n")

    def cut_from(self, machine, others):
        those = "{ " + ", ".join(address(o) for o in others) + " }"
        self.cut(machine, {"input": f"ip saddr {those}", "output": f"ip daddr {those}"})

    def cut_from_etcd(self, machine):
        """As a client: its own member, over the loopback, is no exception. Members still speak to each other."""
        self.cut(machine, {"output": "tcp dport 2379"})

    def heal(self):
        for m in (*MEMBERS, NODES):
            subprocess.run([*self.on(m), "nft", "delete", "table", "inet", "cut"], capture_output=True)


class Etcd:
    """Three members."""

    def __init__(self, work):
        peers = ",".join(f"e{m}=http://{address(m)}:2380" for m in MEMBERS)
        self._processes = []
        for m in MEMBERS:
            client, peer = f"http://{address(m)}:2379", f"http://{address(m)}:2380"
            with open(work / f"etcd{m}.log", "ab") as log:
                self._processes.append(subprocess.Popen(
                    [*Network.on(m), "etcd", "--name", f"e{m}", "--data-dir", work / f"etcd{m}", "--listen-client-urls", client,
                     "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--initial-cluster", peers, "--initial-cluster-state", "new", "--log-level", "error"],
                    stdout=log, stderr=log, preexec_fn=die_with_parent))
        for m in MEMBERS:
            until(lambda m=m: self.answers(m), 30, f"member {m} of etcd answers")

    @staticmethod
    def answers(member):
        """Whether it knows what a majority agreed on."""
        try:
            q = urllib.request.Request(f"http://{address(member)}:2379/v3/kv/range", b'{"key": "eA=="}')
            with urllib.request.urlopen(q, timeout=2) as r:
                return "header" in json.loads(r.read())
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def end(self):
        for p in self._processes:
            p.kill()
            p.wait()


class Apart(Cluster):
    """The cluster, each process on its machine."""

    def where(self, name):
        return Network.on(MACHINE[name])

    def coordinator(self, name):
        here = address(MACHINE[name])
        super().coordinator(name, "--host", here, "--control-listen", f"{here}:9000", "--insecure-bind")

    def lost_coordinators(self):
        """Coordinators that nodes have ever lost."""
        return sum(len(re.findall("coordinator lost", (self.work / f"{n}.log").read_text(errors="replace")))
                   for n in ("p0", "p1", "d0", "d1"))


class Leaders:
    """Looks all the time at who leads."""

    def __init__(self, cluster):
        self._c, self._stop = cluster, threading.Event()
        self.two, self.changes, self._last = [], 0, None
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _leads(self, name):
        try:
            return self._c.leads(name)
        except OSError:
            return False

    def _watch(self):
        while not self._stop.wait(0.1):
            # The one before and after the other: looked at one after another, a change of leader would look like two.
            before, other, after = self._leads("c0"), self._leads("c1"), self._leads("c0")
            if before and other and after:
                self.two.append(time.monotonic())
            now = "c1" if other else "c0" if after else None
            if now and now != self._last:
                self.changes += self._last is not None
                self._last = now

    def stop(self):
        self._stop.set()
        self._thread.join()


class Run:
    def __init__(self, cluster, network, loads, leaders, reference):
        self.c, self.net, self.loads, self.leaders, self.reference = cluster, network, loads, leaders, reference
        self.rows = []

    def during(self, what, seconds, disturb, most_changes, meanwhile=lambda: None):
        """Disturbs, waits, and judges each side's requests that began since. `meanwhile` is done towards the end."""
        lost = {n: self.c.lost(n) for n in self.loads}
        lost_coordinators, changes = self.c.lost_coordinators(), self.leaders.changes
        at = time.monotonic()
        disturb()
        time.sleep(seconds)
        meanwhile()
        end = time.monotonic()
        row = {"what": what}
        for side, load in self.loads.items():
            until(lambda l=load: l.done and l.done[-1][0] >= end - LIMIT_S, LIMIT_S, f"{what}: {side} still answers")
            since = [d for d in list(load.done) if d[0] >= at]
            assert since, f"{what}: {side} answered nothing"
            worst = max(d[1] for d in since)
            row[side] = {"requests": len(since), "usual_s": sorted(d[1] for d in since)[len(since) // 2], "worst_s": worst}
            for _, _, _, prompt, text in since:
                assert text == self.reference[prompt], (what, side, prompt, text)
            assert worst < LIMIT_S, f"{what}: a request at {side} took {worst:.2f} s"
            assert self.c.lost(side) == lost[side], f"{what}: {side} lost a node"
        assert self.c.lost_coordinators() == lost_coordinators, f"{what}: a node lost a coordinator"
        assert not self.leaders.two, f"{what}: two led at a time"
        row["changes"] = self.leaders.changes - changes
        assert row["changes"] <= most_changes, f"{what}: the leader changed {row['changes']} times"
        self.rows.append(row)
        print(what + "".join(f"; {s}: {row[s]['requests']} requests, usually {row[s]['usual_s']:.2f} s, longest "
                             f"{row[s]['worst_s']:.2f} s" for s in self.loads), flush=True)

    def healed(self, what, settings):
        self.during(f"{what}: healed", HEAL_S, self.net.heal, 1)

        def well():
            try:
                return (all(sorted(self.c.members(n)) == ["c0", "c1"] and self.c.complete(n, 2, 2) and self.c.slo(n) == settings
                            for n in ("c0", "c1")) and sum(self.c.leads(n) for n in ("c0", "c1")) == 1)
            except OSError:
                return False
        until(well, 20, f"{what}: all know each other, one leads, and the settings are those that a majority took: {settings}, "
                        f"not {[self.c.slo(n) for n in ('c0', 'c1')]}")


def refused(c, coordinator):
    status, answer = c.send(coordinator, "PUT", "/sluice/v1/slo", {"class": "gold", "ttft_ms": 1.0})
    assert status == 503 and "nothing was changed" in answer["error"]["message"], (coordinator, status, answer)
    assert not c.leads(coordinator), f"{coordinator} cannot know that it leads"


def taken(c, coordinator, value):
    until(lambda: c.send(coordinator, "PUT", "/sluice/v1/slo", {"class": "gold", "ttft_ms": value})[0] == 200, 5,
          f"{coordinator} takes a setting")
    return c.slo(coordinator)


def scenarios(c, net, run):
    told = {}

    def small_side(small, large, value):
        def act():
            refused(c, small)
            told["now"] = taken(c, large, value)
            until(lambda: c.leads(large), 5, f"{large} leads")
        return act

    for small, large, value in (("c0", "c1", 801.0), ("c1", "c0", 802.0)):
        machine = MACHINE[small]
        what = f"{small} and its member of etcd are cut off from the other two"
        run.during(what, CUT_S, lambda m=machine: net.cut_from(m, [o for o in MEMBERS if o != m]), 1, small_side(small, large, value))
        assert not Etcd.answers(machine), "that member has no majority"
        run.healed(what, told["now"])

    what = "c0 is cut off from every etcd"
    run.during(what, CUT_S, lambda: net.cut_from_etcd(1), 1, small_side("c0", "c1", 803.0))
    # Of the member beside it nothing is asked here: its gateway calls it at the port that is cut.
    assert Etcd.answers(2) and Etcd.answers(3), "etcd itself is whole"
    run.healed(what, told["now"])

    what = "the nodes are cut off from every etcd"
    run.during(what, CUT_S, lambda: net.cut_from_etcd(NODES), 0)
    run.healed(what, told["now"])

    what = "the members of etcd are cut off from each other, and the coordinators are"
    def all_apart():
        for m in MEMBERS:
            net.cut_from(m, [o for o in MEMBERS if o != m])
    def nobody():
        refused(c, "c0")
        refused(c, "c1")
        assert c.slo("c0") == c.slo("c1") == told["now"], "settings stay as they were known last"
    run.during(what, CUT_S, all_apart, 0, nobody)
    run.healed(what, told["now"])


def report(file, rows):
    version = sh("etcd", "--version").splitlines()[0]
    lines = ["# A network that is cut: figures", "",
             f"Written by `python3 tests/system/etcd_partition_test.py --bin build/bin --report {file}` (commit {commit()}, {version}).", "",
             "Two coordinators, three members of etcd, two prefill and two decode nodes of the bundled model, in four network namespaces on a",
             "bridge; nftables drops what passes the cut. c0 and c1 are asked without a pause, each by clients that know no other.",
             f"The test fails at {LIMIT_S:.0f} s, when an answer differs from that of the undisturbed cluster, when a coordinator loses a node or a node a",
             "coordinator, when two lead at a time, when a side without a majority takes a setting, and when one is lost after healing.", "",
             "| disturbance | c0: requests | usual, s | longest, s | c1: requests | usual, s | longest, s | changes of leader |",
             "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        sides = " | ".join(f"{r[s]['requests']} | {r[s]['usual_s']:.2f} | {r[s]['worst_s']:.2f}" for s in ("c0", "c1"))
        lines.append(f"| {r['what']} | {sides} | {r['changes']} |")
    file.write_text("\n".join([*lines, ""]))


def run(bin_dir, work, report_file):
    net = Network()
    etcd = Etcd(work)
    c = Apart(bin_dir, work, ["--registry", "etcd://" + ",".join(f"{address(m)}:2379" for m in MEMBERS)])
    loads, leaders = {}, None
    try:
        c.start()
        settings = taken(c, "c0", 800.0)
        until(lambda: c.slo("c1") == settings, 5, "c1 has c0's settings")
        reference = c.answers()
        loads = {n: Load({n: c.url[n]}, clients=1) for n in ("c0", "c1")}
        leaders = Leaders(c)
        test = Run(c, net, loads, leaders, reference)
        test.during("nothing", 4, lambda: None, 0)
        scenarios(c, net, test)
    except BaseException:
        c.show_logs()
        raise
    finally:
        net.heal()
        for w in (*loads.values(), *([leaders] if leaders else [])):
            w.stop()
        c.end()
        etcd.end()
    if report_file:
        report(report_file, test.rows)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--report", type=Path)
    args.add_argument("--inside", action="store_true", help="already in namespaces of its own")
    args = args.parse_args()
    if lacks("etcd", "ip", "nft", "unshare"):
        return 77
    if not args.inside:
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        if os.geteuid() != 0 or subprocess.run([*own, "nft", "list", "ruleset"], capture_output=True).returncode != 0:
            print("[SKIPPED] a cut network needs root and network namespaces with nftables")
            return 77
        return subprocess.run([*own, sys.executable, "-B", *sys.argv, "--inside"]).returncode
    return in_a_folder(run, args)


if __name__ == "__main__":
    sys.exit(main())
