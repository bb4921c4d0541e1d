#!/usr/bin/env python3
"""Several coordinators on a real etcd, and what becomes of requests when parts of it are taken away.

Two coordinators, two prefill and two decode nodes; clients ask one coordinator and, where it fails or is silent, the other.
Under this load either coordinator is killed, one is stopped, etcd is killed for longer than leases last, comes back with its
data, without it, is stopped as behind a partition, is compacted; a node is drained, a newcomer joins. At each: every new
request is answered within LIMIT_S of its first try, answers are those of an undisturbed cluster, no survivor loses a node, no
setting is lost. Then a cluster whose etcd wants TLS and a password. --report FILE writes the figures.

Exit 77, which ctest counts as skipped, where etcd is not installed.
"""
import argparse
import ctypes
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "sluice-tiny"
LIMIT_S = 3.0    # of a request's first try until its answer
TRY_S = 1.2      # until a client asks the other coordinator
LEASES_S = 7.0   # longer than a coordinator's lease in etcd (5 s)
PROMPTS = [f"Chapter {i}. The people of the house said to the king that it was so, " * 6 for i in range(6)]
_libc = ctypes.CDLL(None)


def die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(done, limit_s, what):
    end = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit_s} s: {what}")
        time.sleep(0.05)


class Etcd:
    """A real one on free ports; with TLS and a password where `secure` has certificates."""

    def __init__(self, work, secure=None):
        self._work, self._secure = work, secure
        self._data = work / "etcd-data"
        self.port, self._peer = free_port(), free_port()
        self.start()

    def start(self):
        client = f"{'https' if self._secure else 'http'}://127.0.0.1:{self.port}"
        peer = f"http://127.0.0.1:{self._peer}"
        flags = []
        if self._secure:
            flags = ["--cert-file", self._secure / "etcd.pem", "--key-file", self._secure / "etcd.key",
                     "--trusted-ca-file", self._secure / "ca.pem", "--client-cert-auth"]
        with open(self._work / "etcd.log", "ab") as log:
            self.process = subprocess.Popen(
                ["etcd", "--data-dir", self._data, "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
                 "--log-level", "error", *flags], stdout=log, stderr=log, preexec_fn=die_with_parent)
        until(self.answers, 20, "etcd answers")

    def answers(self):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        return bool(self._secure) or self.call("/v3/kv/range", {"key": "eA=="}) is not None

    def call(self, path, body):
        try:
            q = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode())
            with urllib.request.urlopen(q, timeout=5) as r:
                return json.loads(r.read())
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lose_data(self):
        shutil.rmtree(self._data)

    def compact(self):
        now = self.call("/v3/kv/range", {"key": "eA=="})["header"]["revision"]
        self.call("/v3/kv/compaction", {"revision": now})


class Cluster:
    def __init__(self, bin_dir, work, registry_flags, env=None):
        self._bin, self.work, self._registry, self._env = bin_dir, work, registry_flags, env
        self._processes = {}
        self.url = {}

    def where(self, name):
        """What stands before a process' command: where it runs."""
        return []

    def spawn(self, name, program, *args):
        with open(self.work / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                [*self.where(name), self._bin / program, "--model", MODEL, "--name", name, *self._registry, *args], stdout=log, stderr=log,
                env=self._env, preexec_fn=die_with_parent)

    def coordinator(self, name, *flags):
        ready = self.work / f"{name}.ready"
        ready.unlink(missing_ok=True)
        self.spawn(name, "sluice-coordinator", "--port", "0", "--ready-file", ready, "--max-wait-s", "60",
                   "--slo-ttft-ms", "1234", *flags)
        until(ready.exists, 60, f"{name} is ready")
        self.url[name] = json.loads(ready.read_text())["http"]

    def node(self, name):
        self.spawn(name, "sluice-prefill" if name[0] == "p" else "sluice-decode", "--threads", "1", "--kv-memory-mib", "64")

    def complete(self, coordinator, prefills, decodes):
        try:
            h = self.get(coordinator, "/health")
        except (urllib.error.URLError, OSError):
            return False
        return (h["prefill_nodes"], h["decode_nodes"]) == (prefills, decodes)

    def process(self, name):
        return self._processes[name]

    def kill(self, name):
        self._processes[name].kill()
        self._processes[name].wait()

    def get(self, coordinator, target):
        with urllib.request.urlopen(f"http://{self.url[coordinator]}{target}", timeout=5) as r:
            return json.loads(r.read())

    def send(self, coordinator, method, target, body=None):
        """(status, answer)"""
        q = urllib.request.Request(f"http://{self.url[coordinator]}{target}", json.dumps(body or {}).encode(), method=method,
                                   headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(q, timeout=10) as r:
                return r.status, json.loads(r.read())
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def slo(self, coordinator):
        return self.get(coordinator, "/sluice/v1/slo")["classes"]

    def members(self, coordinator):
        return {c["id"]: c["leader"] for c in self.get(coordinator, "/sluice/v1/coordinators")["coordinators"]}

    def leads(self, coordinator):
        with urllib.request.urlopen(f"http://{self.url[coordinator]}/metrics", timeout=5) as r:
            return "\nsluice_coordinator_leader 1\n" in r.read().decode()

    def lost(self, name):
        """Nodes that this coordinator has ever lost."""
        return len(re.findall("node lost", (self.work / f"{name}.log").read_text(errors="replace")))

    def end(self):
        for p in self._processes.values():
            p.send_signal(signal.SIGCONT)
            p.terminate()
        for p in self._processes.values():
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def show_logs(self):
        for log in sorted(self.work.glob("*.log")):
            lines = [x for x in log.read_text(errors="replace").splitlines() if "request_id" not in x]
            print(f"---- {log.name} (its end)", *lines[-30:], sep="\n", file=sys.stderr)


def ask(address, prompt, limit_s):
    """The answer's text. OSError or ValueError when there is none."""
    c = http.client.HTTPConnection(address, timeout=limit_s)
    try:
        # A seed keeps KV lossless: the same prompt has the same answer at any nodes.
        body = {"prompt": prompt, "max_tokens": 8, "ignore_eos": True, "temperature": 0, "seed": 1}
        c.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
        r = c.getresponse()
        text = r.read()
        if r.status != 200:
            raise ValueError(f"status {r.status}: {text[:200]!r}")
        return json.loads(text)["choices"][0]["text"]
    except http.client.HTTPException as e:
        raise OSError(str(e)) from e
    finally:
        c.close()


class Load:
    """Clients that know all coordinators and ask until one answers."""

    def __init__(self, addresses, clients=2):
        self._addresses = addresses  # a live dict: name -> address
        self._stop = threading.Event()
        self.done = []  # (began, took, tries, prompt, text)
        self._threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(clients)]
        for t in self._threads:
            t.start()

    def _client(self, who):
        i = who
        while not self._stop.is_set():
            i += 1
            began, tries = time.monotonic(), 0
            while not self._stop.is_set():
                order = sorted(self._addresses)
                address = self._addresses[order[(i + tries) % len(order)]]
                tries += 1
                try:
                    text = ask(address, PROMPTS[i % len(PROMPTS)], TRY_S)
                except (OSError, ValueError):
                    time.sleep(0.02)
                    continue
                self.done.append((began, time.monotonic() - began, tries, i % len(PROMPTS), text))
                break
            self._stop.wait(0.05)

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join()


class Run:
    """One cluster under load; each disturbance leaves a row of figures."""

    def __init__(self, cluster, load, reference):
        self.c, self.load, self.reference = cluster, load, reference
        self.rows = []

    def during(self, what, seconds, disturb, watched):
        """Disturbs, waits, and judges the requests that began since. watched: coordinators that may lose no node."""
        before = {w: self.c.lost(w) for w in watched}
        at = time.monotonic()
        disturb()
        time.sleep(max(0.0, at + seconds - time.monotonic()))
        until(lambda: any(d[0] > at + seconds - LIMIT_S for d in self.load.done[-20:]), LIMIT_S * 3, f"{what}: requests end")
        since = [d for d in list(self.load.done) if d[0] >= at]
        worst = max(d[1] for d in since)
        row = {"what": what, "seconds": seconds, "requests": len(since), "retried": sum(d[2] > 1 for d in since),
               "usual_s": sorted(d[1] for d in since)[len(since) // 2], "worst_s": worst}
        self.rows.append(row)
        print(f"{what}: {row['requests']} requests, {row['retried']} asked twice or more, usually {row['usual_s']:.2f} s, "
              f"longest {worst:.2f} s", flush=True)
        for _, _, _, prompt, text in since:
            assert text == self.reference[prompt], (what, prompt, text, self.reference[prompt])
        assert worst < LIMIT_S, f"{what}: a request took {worst:.2f} s"
        for w in watched:
            assert self.c.lost(w) == before[w], f"{what}: {w} lost a node"

    def settled(self, what, names):
        """All know each other, one leads, both nodes of each role are there."""
        state = {}

        def well():
            try:
                for n in names:
                    state[n] = (sorted(self.c.members(n)), self.c.leads(n), self.c.complete(n, 2, 2))
            except OSError as e:
                state["error"] = str(e)
                return False
            all_there = all(s[0] == sorted(names) and s[2] for s in (state[n] for n in names))
            return all_there and sum(state[n][1] for n in names) == 1
        try:
            until(well, 30, f"{what}: {names} know each other and the nodes")
        except SystemExit as e:
            raise SystemExit(f"{e}: members, whether it leads, whether all nodes are there: {state}") from e


def shared_settings(c):
    """Either coordinator's word holds for both within a second."""
    worst = 0.0
    for writer, reader, value in (("c0", "c1", 750.0), ("c1", "c0", 500.0)):
        at = time.monotonic()
        status, answer = c.send(writer, "PUT", "/sluice/v1/slo", {"class": "gold", "ttft_ms": value})
        assert status == 200, answer
        until(lambda: c.slo(reader).get("gold", {}).get("ttft_ms") == value, 1, f"{reader} hears what {writer} was told")
        worst = max(worst, time.monotonic() - at)
    assert c.slo("c0") == c.slo("c1")
    return worst


def scenarios(c, etcd, run):
    settings = c.slo("c0")

    for victim, other in (("c0", "c1"), ("c1", "c0")):
        run.during(f"{victim} is killed", 6, lambda v=victim: c.kill(v), [other])
        until(lambda o=other: c.leads(o), 10, f"{other} leads")
        c.coordinator(victim)
        run.settled(f"{victim} is back", ["c0", "c1"])
        until(lambda v=victim: c.slo(v) == settings, 5, f"{victim} has the settings")

    run.during("c0 is stopped for 8 s", 8, lambda: c.process("c0").send_signal(signal.SIGSTOP), ["c1"])
    c.process("c0").send_signal(signal.SIGCONT)
    run.settled("c0 goes on", ["c0", "c1"])

    run.during(f"etcd is killed for {LEASES_S:.0f} s", LEASES_S, etcd.kill, ["c0", "c1"])
    status, answer = c.send("c0", "PUT", "/sluice/v1/slo", {"class": "gold", "ttft_ms": 1.0})
    assert status == 503 and "nothing was changed" in answer["error"]["message"], (status, answer)
    assert sum(c.leads(n) for n in ("c0", "c1")) == 0, "nobody knows that he leads"
    run.during("etcd is back with its data", 4, etcd.start, ["c0", "c1"])
    run.settled("etcd is back", ["c0", "c1"])
    assert c.slo("c0") == c.slo("c1") == settings

    def lose():
        etcd.kill()
        etcd.lose_data()
        etcd.start()
    run.during("etcd comes back empty", 6, lose, ["c0", "c1"])
    run.settled("etcd was emptied", ["c0", "c1"])
    assert c.slo("c0") == c.slo("c1") == settings
    shared_settings(c)
    settings = c.slo("c0")

    run.during(f"etcd is stopped for {LEASES_S:.0f} s", LEASES_S, lambda: etcd.process.send_signal(signal.SIGSTOP), ["c0", "c1"])
    run.during("etcd goes on", 4, lambda: etcd.process.send_signal(signal.SIGCONT), ["c0", "c1"])
    run.settled("etcd goes on", ["c0", "c1"])
    assert c.slo("c0") == c.slo("c1") == settings

    run.during("etcd is compacted under the watches", 3, etcd.compact, ["c0", "c1"])
    shared_settings(c)


def newcomer(c):
    """A third coordinator knows what the others learned, although it has served nothing; returns how many figures."""
    state = c.work / "c2.state"
    time.sleep(11)  # the others write every 10 s
    c.coordinator("c2", "--state-file", state)
    until(lambda: c.complete("c2", 2, 2), 10, "nodes find the newcomer")
    assert c.slo("c2") == c.slo("c0")

    def learned():
        if not state.exists():
            return False
        latency = json.loads(state.read_text())["policy"]["latency"]
        links = [l for l in latency["links"] if l["bandwidth"]["count"] > 0]
        return len(links) + sum("compute" in p for p in latency["prefill"].values())
    until(learned, 25, "the newcomer has learned from the others")
    assert c.get("c2", "/health")["prefill_nodes"] == 2
    return learned()


def drain(c):
    """A drain asked of one coordinator holds for the other."""
    at = time.monotonic()
    status, answer = c.send("c0", "POST", "/sluice/v1/drain/d1")
    assert status == 200, answer
    def seen():
        states = {n["node"]: n["state"] for n in c.get("c1", "/sluice/v1/nodes")["nodes"]}
        return states.get("d1", "gone") != "ready"
    until(seen, 2, "c1 knows that d1 drains")
    return time.monotonic() - at


def certificates(folder):
    folder.mkdir()
    def run(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    run("req", *key, "-subj", "/CN=etcd", "-keyout", "etcd.key", "-out", "etcd.csr")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    run("x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext",
        "-in", "etcd.csr", "-out", "etcd.pem")
    # Ours has no common name: with authentication on, etcd's gateway refuses one that has.
    run("req", *key, "-subj", "/O=sluice", "-keyout", "client.key", "-out", "client.csr")
    run("x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext",
        "-in", "client.csr", "-out", "client.pem")
    return folder


def etcdctl(etcd, certs, *args):
    subprocess.run(["etcdctl", f"--endpoints=https://127.0.0.1:{etcd.port}", f"--cacert={certs / 'ca.pem'}",
                    f"--cert={certs / 'etcd.pem'}", f"--key={certs / 'etcd.key'}", *args],
                   check=True, capture_output=True, env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"})


def secured(bin_dir, work):
    """The same on an etcd that wants certificates and a password, given by environment."""
    certs = certificates(work / "certs")
    etcd = Etcd(work, certs)
    for args in (["user", "add", "root:pw"], ["role", "add", "sluice"], ["user", "add", "sluice:s3cret"],
                 ["role", "grant-permission", "sluice", "--prefix=true", "readwrite", "/sluice/"],
                 ["role", "grant-permission", "sluice", "--prefix=true", "readwrite", "/sluice-learned/"],
                 ["user", "grant-role", "root", "root"], ["user", "grant-role", "sluice", "sluice"], ["auth", "enable"]):
        etcdctl(etcd, certs, *args)
    flags = ["--registry", f"etcd://127.0.0.1:{etcd.port}", "--registry-ca", certs / "ca.pem", "--registry-cert",
             certs / "client.pem", "--registry-key", certs / "client.key", "--cluster-name", "secured"]
    env = {"SLUICE_REGISTRY_USER": "sluice", "SLUICE_REGISTRY_PASSWORD": "s3cret", "PATH": "/usr/bin:/bin"}
    c = Cluster(bin_dir, work, flags, env)
    try:
        for n in ("c0", "c1"):
            c.coordinator(n)
        for n in ("p0", "d0"):
            c.node(n)
        for n in ("c0", "c1"):
            until(lambda n=n: c.complete(n, 1, 1), 30, f"{n} has its nodes")
        until(lambda: c.members("c0").keys() == {"c0", "c1"}, 10, "they know each other")
        until(lambda: "default" in c.slo("c1") and c.send("c0", "PUT", "/sluice/v1/slo", {"class": "gold"})[0] == 200, 10,
              "settings are shared")
        shared_settings(c)
        texts = [ask(c.url[n], PROMPTS[0], 30) for n in ("c0", "c1")]
        assert texts[0] == texts[1]
        c.kill("c0")
        assert ask(c.url["c1"], PROMPTS[0], 30) == texts[0]
        said = "".join(f.read_text(errors="replace") for f in work.glob("*.log"))
        assert "s3cret" not in said, "the password stands in a log"
    except BaseException:
        c.show_logs()
        raise
    finally:
        c.end()
        etcd.kill()
    print("etcd with TLS and a password: shared and served", flush=True)


def report(file, rows, facts):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    version = subprocess.run(["etcd", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    lines = [
        "# High availability: figures", "",
        f"Written by `python3 tests/system/ha_test.py --bin build/bin --report {file}` (commit {commit}, {version}).", "",
        "Two coordinators, two prefill and two decode nodes of the bundled model and one etcd, all on one machine. Two clients",
        f"ask without a pause; one asks the other coordinator after an error, or {TRY_S} s of silence. *Longest* is the time from a",
        f"new request's first try to its whole answer, tries at the coordinator that is gone included; the test fails at {LIMIT_S:.0f} s.",
        "It also fails when an answer differs from that of the undisturbed cluster, when a coordinator that stays loses a node, and",
        "when a setting is lost.", "",
        "| disturbance | requests | asked again | usual, s | longest, s |", "|---|---|---|---|---|"]
    lines += [f"| {r['what']} | {r['requests']} | {r['retried']} | {r['usual_s']:.2f} | {r['worst_s']:.2f} |" for r in rows]
    lines += [""] + [f"- {f}" for f in facts] + [""]
    file.write_text("\n".join(lines))


def run(bin_dir, work, report_file):
    etcd = Etcd(work)
    c = Cluster(bin_dir, work, ["--registry", f"etcd://127.0.0.1:{etcd.port}"])
    load = None
    try:
        for n in ("c0", "c1"):
            c.coordinator(n)
        for n in ("p0", "p1", "d0", "d1"):
            c.node(n)
        for n in ("c0", "c1"):
            until(lambda n=n: c.complete(n, 2, 2), 60, f"{n} has its nodes")
        until(lambda: c.members("c0").keys() == c.members("c1").keys() == {"c0", "c1"}, 10, "they know each other")
        until(lambda: c.send("c0", "PUT", "/sluice/v1/slo", {"class": "gold"})[0] == 200, 10, "settings are shared")
        heard = shared_settings(c)
        reference = [ask(c.url["c0"], p, 30) for p in PROMPTS]
        assert reference == [ask(c.url["c1"], p, 30) for p in PROMPTS], "both coordinators have the same answers"
        shown = subprocess.run([bin_dir / "sluicectl", "--url", "http://" + c.url["c1"], "coordinators"], capture_output=True,
                               text=True, check=True).stdout
        assert "c0" in shown and "c1 (this one)" in shown and "yes" in shown, shown

        load = Load(c.url)
        test = Run(c, load, reference)
        test.during("nothing", 5, lambda: None, ["c0", "c1"])
        scenarios(c, etcd, test)
        load.stop()
        figures = newcomer(c)
        drained = drain(c)
    except BaseException:
        c.show_logs()
        raise
    finally:
        if load:
            load.stop()
        c.end()
        etcd.kill()
    facts = [f"An SLO class set at one coordinator was in force at the other after {heard * 1e3:.0f} ms at most, its own answer included.",
             f"A third coordinator that had served nothing knew {figures} links and nodes from the others.",
             f"A drain asked of one coordinator held for the other after {drained * 1e3:.0f} ms."]
    print("\n".join(facts), flush=True)
    secure = work / "secure"
    secure.mkdir()
    secured(bin_dir, secure)
    facts.append("An etcd with client certificates, a role limited to `/sluice/` and `/sluice-learned/`, and a password: shared and served.")
    if report_file:
        report(report_file, test.rows, facts)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--report", type=Path)
    args = args.parse_args()
    for program in ("etcd", "etcdctl", "openssl"):
        if not shutil.which(program):
            print(f"[SKIPPED] {program} is missing; `tools/install_deps.sh test` installs it")
            return 77
    work = Path(tempfile.mkdtemp(prefix="sluice-ha-"))
    try:
        run(args.bin.resolve(), work, args.report)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
