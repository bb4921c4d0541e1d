#!/usr/bin/env python3
"""`sluicectl doctor` on a healthy cluster and on broken ones. Each is really broken: a process killed, a model changed, a
port taken, a limit lowered, a certificate expired, a link slowed down. The doctor must name it, and what to set.

What cannot be made here (namespaces and tc need root) is skipped by name.
"""
import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from cluster import MODEL, Cluster
from processes import die_with_parent, stop_all

# Warnings that are this machine's own, not the cluster's.
MACHINE = {"threads", "cpu-quota", "isa", "memory", "shm", "open-files", "rdma-down", "rdma-unseen", "rdma-unused",
           "canary-ttft", "canary-tpot"}
bin_dir = None


def sluicectl(*args, limits=(), prefix=(), limit_s=60, env=None):
    """Exit code and standard output."""
    def prepare():
        die_with_parent()
        for what, value in limits:
            resource.setrlimit(what, (value, value))
    r = subprocess.run([*prefix, bin_dir / "sluicectl", *map(str, args)], stdout=subprocess.PIPE, text=True, timeout=limit_s,
                       preexec_fn=prepare, env=env)
    return r.returncode, r.stdout


def doctor(*args, **how):
    """The report as data. Quick: without what is not under test."""
    code, text = sluicectl("--json", "--run-dir", "/nonexistent/sluice", "doctor", "--no-perftest", *args, **how)
    report = json.loads(text)
    report["exit"] = code
    return report


class DoctorTest(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="sluice-doctor-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def told(self, report, what, severity, found="", to_set="", subject=""):
        """The finding of that id is there, says what it must, and the exit code agrees with the worst one."""
        all_of = [f for f in report["findings"] if f["id"] == what and f["severity"] == severity]
        said = [(f["severity"], f["id"], f["subject"], f["found"]) for f in report["findings"]]
        self.assertTrue(all_of, f"no {severity} '{what}' among {said}")
        f = all_of[0]
        self.assertIn(found, f["found"])
        self.assertIn(to_set, f["set"])
        self.assertIn(subject, f["subject"])
        if severity in ("warning", "error"):
            self.assertTrue(f["why"] and f["set"])
        self.assertEqual(report["exit"], {"ok": 0, "note": 0, "warning": 1, "error": 2}[report["worst"]])

    def silent(self, report, *ids):
        self.assertFalse([f for f in report["findings"] if f["id"] in ids and f["severity"] != "ok"])

    def test_healthy(self):
        with Cluster(bin_dir) as c:
            c._until(lambda: json.loads(c.get("/sluice/v1/nodes"))["nodes"][1]["links"])  # measured, and told by a heartbeat
            r = doctor("--url", c.http, "--model", MODEL, "--nodes", 2, "--threads", 1, "--expect", "p0", "--expect", "d0")
            bad = [f for f in r["findings"] if f["severity"] in ("warning", "error") and f["id"] not in MACHINE]
            self.assertEqual(bad, [])
            for what in ("ready", "link", "versions", "model-dir", "ucx", "canary", "clock"):
                self.told(r, what, "ok")
            self.assertEqual([(l["prefill_node"], l["decode_node"], l["lane"]) for l in r["links"]], [("p0", "d0", "tcp/lo")])
            self.assertGreater(r["links"][0]["bytes_per_s"], 0)
            self.assertGreater(r["canary"]["second"]["ttft_ms"], 0)
            page = json.loads(urlopen(json.loads(c.get("/sluice/v1/nodes"))["nodes"][0]["admin_address"], "/host"))
            self.assertEqual((page["node"], page["role"], page["ucx"]["tls"]), ("d0", "decode", "tcp,self"))
            # As text: no escape sequences where nobody looks at a terminal.
            code, text = sluicectl("--url", c.http, "doctor", "--no-perftest", "--no-canary")
            self.assertIn(code, (0, 1))
            self.assertNotIn("\x1b", text)
            self.assertIn("p0 -> d0", text)

    def test_is_it_worth_it(self):
        with Cluster(bin_dir) as c:
            r = doctor("--url", c.http, "--no-canary", "--pd", "--pd-prompts", "32,2000", "--pd-rounds", 3, limit_s=120)
            self.told(r, "pd", "note", found="for an idle cluster's time to first token")
            self.assertEqual([x["prompt_tokens"] for x in r["pd"]["lengths"]], [32, 2000])
            for x in r["pd"]["lengths"]:
                self.assertEqual((len(x["split_ttft_ms"]["rounds"]), x["rounds"]), (3, 3))
                self.assertGreater(x["colocated_ttft_ms"]["median"], 0)
            beside = r["pd"]["beside"]
            self.assertEqual((len(beside["colocated_longest_ms"]["rounds"]), beside["elsewhere"]), (3, 0))

    def test_a_node_that_was_killed(self):
        run_dir = self.dir / "run"
        code, _ = sluicectl("--run-dir", run_dir, "up", "--model", MODEL, "--port", 0, "--threads", 1, "--kv-memory-mib", 64,
                            "--detach")
        self.assertEqual(code, 0)
        try:
            state = json.loads((run_dir / "cluster.json").read_text())
            os.kill(next(p["pid"] for p in state["processes"] if p["name"] == "decode-0"), signal.SIGKILL)
            deadline = time.monotonic() + 20
            while True:
                code, text = sluicectl("--json", "--run-dir", run_dir, "doctor", "--no-perftest")
                r = {**json.loads(text), "exit": code}
                if any(f["id"] == "not-ready" for f in r["findings"]) or time.monotonic() > deadline:
                    break
            self.told(r, "node-ended", "error", to_set="start it again", subject="decode-0")
            self.told(r, "not-ready", "error", found="decode")
            self.assertNotIn("canary", r)
        finally:
            sluicectl("--run-dir", run_dir, "down")

    def test_a_node_that_never_came_and_one_with_another_model(self):
        other = self.dir / "other"
        shutil.copytree(MODEL, other)
        config = json.loads((other / "config.json").read_text())
        config["rms_norm_eps"] = 0.001
        (other / "config.json").write_text(json.dumps(config))
        with Cluster(bin_dir) as c:
            control = c._node_flags[1]
            r = subprocess.run([bin_dir / "sluice-decode", "--name", "d9", "--model", other, "--coordinator", control, "--threads",
                                "1", "--kv-memory-mib", "64"], capture_output=True, timeout=60)
            self.assertEqual(r.returncode, 1)
            r = doctor("--url", c.http, "--no-canary", "--expect", "d9", "--expect", "d7")
            self.told(r, "node-refused", "error", found="model hash", to_set="--model", subject="d9")
            self.told(r, "node-missing", "error", to_set="--coordinator", subject="d7")

    def test_a_node_whose_pages_nobody_reaches(self):
        with Cluster(bin_dir) as c:
            c._spawn("d1", "sluice-decode", "--name", "d1", *c._node_flags, "--admin-listen", "0.0.0.0:0", "--advertise",
                     "198.51.100.7")
            c._decodes += 1
            c._until(c._complete)
            r = doctor("--url", c.http, "--no-canary", "--node-timeout-s", 0.5)
            self.told(r, "admin-unreachable", "warning", found="198.51.100.7", to_set="--advertise", subject="d1")

    def test_a_wrong_api_key(self):
        def key(value):
            return {"env": {**os.environ, "SLUICE_API_KEY": value}}
        with Cluster(bin_dir, env={"SLUICE_API_KEY": "right"}) as c:
            self.told(doctor("--url", c.http, **key("wrong")), "api-key", "error", to_set="SLUICE_API_KEY")
            self.told(doctor("--url", c.http, "--no-canary", **key("right")), "ready", "ok")

    def test_nobody_there_or_somebody_else(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
            r = doctor("--listen", f"127.0.0.1:{port}", "--host-only")
            self.told(r, "port-taken", "error", to_set="another port", subject=str(port))
        r = doctor("--url", f"127.0.0.1:{port}")
        self.told(r, "coordinator-unreachable", "error", found="refused", to_set="--url")

    def test_addresses_that_others_cannot_reach(self):
        r = doctor("--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0", "--listen", "198.51.100.7:9000", "--several-machines")
        self.told(r, "loopback-only", "error", to_set="--advertise", subject="127.0.0.1:0")
        self.told(r, "every-address", "note", to_set="--advertise")
        self.told(r, "address-elsewhere", "error", subject="198.51.100.7")

    def test_a_device_that_is_not_there(self):
        r = doctor("--ucx-net-devices", "nope0")
        self.told(r, "device-missing", "error", found="nope0", to_set="lo")
        r = doctor("--ucx-net-devices", "lo", "--ucx-tls", "tcp,self")
        self.silent(r, "device-missing", "ucx-refuses", "transport-missing")

    def test_small_limits(self):
        r = doctor("--ucx-tls", "rc,tcp,self", limits=[(resource.RLIMIT_NOFILE, 256), (resource.RLIMIT_MEMLOCK, 65536)])
        self.told(r, "open-files", "warning", found="256", to_set="LimitNOFILE")
        self.told(r, "memlock", "error", found="64.0 KiB", to_set="LimitMEMLOCK=infinity")
        self.silent(doctor("--max-connections", 8, limits=[(resource.RLIMIT_NOFILE, 256)]), "open-files", "memlock")

    def test_a_model_that_cannot_be_served(self):
        r = doctor("--model", self.dir)
        self.told(r, "model-dir", "error", found="config.json", to_set="--model")

    @unittest.skipUnless(shutil.which("openssl"), "no openssl here to make certificates with")
    def test_certificates(self):
        def openssl(*args):
            subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)

        def certificate(name, days):
            key, request = self.dir / f"{name}.key", self.dir / f"{name}.csr"
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", key, "-out", request)
            openssl("x509", "-req", "-in", request, "-signkey", key, "-days", days, "-out", self.dir / f"{name}.pem")
            key.chmod(0o600)
        certificate("good", 365)
        certificate("old", -1)  # ended yesterday
        given = lambda cert, key: ("--cert", self.dir / f"{cert}.pem", "--key", self.dir / f"{key}.key")
        r = doctor(*given("good", "good"), "--ca", self.dir / "good.pem")
        self.told(r, "cert", "ok", found="good")
        self.silent(r, "cert-expired", "key-mismatch", "secret-open", "cert-untrusted")
        r = doctor(*given("old", "old"))
        self.told(r, "cert-expired", "error", to_set="renew")
        r = doctor(*given("good", "old"), "--ca", self.dir / "old.pem")
        self.told(r, "key-mismatch", "error", to_set="--key")
        self.told(r, "cert-untrusted", "error", to_set="--ca")
        (self.dir / "good.key").chmod(0o644)
        self.told(doctor(*given("good", "good")), "secret-open", "error", found="0644", to_set="chmod 600")
        token = self.dir / "token"
        token.write_text("t")
        token.chmod(0o640)
        self.told(doctor("--secret", token), "secret-open", "error", to_set="chmod 600", subject="token")

    def test_a_link_that_tc_slows_down_and_whose_ends_differ(self):
        with Namespaces(self) as ns:
            r = doctor("--url", ns.url, "--no-canary", prefix=ns.into("p"))
            self.told(r, "link-slow", "warning", found="Mb/s", to_set="tc", subject="p0 -> d0")
            self.told(r, "mtu-mismatch", "warning", found="1400", to_set="mtu")

    def test_flags_that_make_no_sense(self):
        code, text = sluicectl("doctor", "--nodes", "none")
        self.assertEqual((code, text), (2, ""))  # no report: it is no finding


def urlopen(address, target):
    import urllib.request
    with urllib.request.urlopen(f"http://{address}{target}", timeout=10) as r:
        return r.read().decode()


class Namespaces:
    """A prefill and a decode node in namespaces of their own, joined by a veth pair at 40 Mb/s of its nominal 10 Gb/s."""

    def __init__(self, test):
        self.test = test
        self.names = {k: f"sluice-doctor-{k}-{os.getpid()}" for k in "pd"}
        self.processes = []

    def into(self, k):
        return ["ip", "netns", "exec", self.names[k]]

    def _ip(self, *args):
        return subprocess.run(args, capture_output=True, text=True)

    def __enter__(self):
        try:
            self._make()
            return self
        except BaseException:
            self.__exit__()
            raise

    def _make(self):
        p, d = self.names["p"], self.names["d"]
        steps = [["ip", "netns", "add", p], ["ip", "netns", "add", d],
                 ["ip", "-n", p, "link", "add", "kv-p", "type", "veth", "peer", "name", "kv-d", "netns", d],
                 ["ip", "-n", p, "addr", "add", "10.211.7.1/24", "dev", "kv-p"],
                 ["ip", "-n", d, "addr", "add", "10.211.7.2/24", "dev", "kv-d"],
                 ["ip", "-n", p, "link", "set", "lo", "up"], ["ip", "-n", d, "link", "set", "lo", "up"],
                 ["ip", "-n", p, "link", "set", "kv-p", "up"], ["ip", "-n", d, "link", "set", "kv-d", "up", "mtu", "1400"]]
        steps += [[*self.into(k), "tc", "qdisc", "add", "dev", f"kv-{k}", "root", "tbf", "rate", "40mbit", "burst", "16384",
                   "latency", "100ms"] for k in "pd"]
        for step in steps:
            try:
                r = self._ip(*step)
            except FileNotFoundError as e:
                self.test.skipTest(f"no {e.filename} here (iproute2)")
            if r.returncode != 0:
                self.test.skipTest(f"{' '.join(step)}: {r.stderr.strip()}")
        for k in "pd":  # the kernel tells a new link's carrier with a delay, and UCX takes no device without one
            self._until(lambda: "state UP" in self._ip("ip", "-n", self.names[k], "link", "show", f"kv-{k}").stdout)
        ready = self.test.dir / "ready"
        self._spawn("p", "sluice-coordinator", "--host", "10.211.7.1", "--port", "0", "--control-listen", "10.211.7.1:0",
                    "--insecure-bind", "--ready-file", ready)
        self._until(ready.exists)
        at = json.loads(ready.read_text())
        self.url = "http://" + at["http"]
        node = ["--coordinator", at["control"], "--threads", "1", "--kv-memory-mib", "64"]
        self._spawn("p", "sluice-prefill", "--name", "p0", *node, "--ucx-net-devices", "kv-p", "--admin-listen", "10.211.7.1:0")
        self._spawn("d", "sluice-decode", "--name", "d0", *node, "--ucx-net-devices", "kv-d", "--admin-listen", "10.211.7.2:0",
                    "--data-listen", "10.211.7.2:0")
        self._until(lambda: sluicectl("--url", self.url, "status", prefix=self.into("p"))[0] == 0)
        self._until(self._measured)

    def _measured(self):
        nodes = json.loads(sluicectl("--json", "--url", self.url, "nodes", prefix=self.into("p"))[1])["nodes"]
        return any(l["bandwidth_bps"] > 0 for n in nodes for l in n["links"])

    def _spawn(self, k, program, *args):
        with open(self.test.dir / f"{program}.log", "ab") as log:
            self.processes.append(subprocess.Popen([*self.into(k), bin_dir / program, "--model", MODEL, *map(str, args)],
                                                   stdout=log, stderr=log, preexec_fn=die_with_parent))

    def _until(self, done):
        end = time.monotonic() + 60
        while not done():
            if time.monotonic() > end or any(p.poll() is not None for p in self.processes):
                for log in self.test.dir.glob("*.log"):
                    print(f"---- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
                raise RuntimeError("the cluster did not become ready")
            time.sleep(0.05)

    def __exit__(self, *_):
        stop_all(self.processes)
        for name in self.names.values():
            self._ip("ip", "netns", "del", name)


def run(suite):
    """77 when all of it was skipped."""
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        return 1
    return 77 if len(result.skipped) == result.testsRun else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--link", action="store_true", help="only the slowed link; exit 77 where it cannot be made")
    parser.add_argument("test", nargs="*", help="names of tests; default: all but the slowed link")
    args = parser.parse_args()
    bin_dir = args.bin.resolve()
    names = args.test or [n for n in unittest.defaultTestLoader.getTestCaseNames(DoctorTest) if ("link_that_tc" in n) == args.link]
    sys.exit(run(unittest.TestSuite(map(DoctorTest, names))))
