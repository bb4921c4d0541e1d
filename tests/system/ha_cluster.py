"""What tests of several coordinators share: a real etcd, a cluster that registers there, clients that keep asking it."""
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from processes import die_with_parent, stop_all

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "sluice-tiny"
LIMIT_S = 3.0    # of a request's first try until its answer
TRY_S = 1.2      # until a client asks the other coordinator
PROMPTS = [f"Chapter {i}. The people of the house said to the king that it was so, " * 6 for i in range(6)]


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
                   "--slo-ttft-ms", "1234", "--local-prefill", "off", *flags)
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

    def start(self):
        """Two coordinators and two nodes of each role; all know all."""
        for n in ("c0", "c1"):
            self.coordinator(n)
        for n in ("p0", "p1", "d0", "d1"):
            self.node(n)
        for n in ("c0", "c1"):
            until(lambda n=n: self.complete(n, 2, 2), 60, f"{n} has its nodes")
        until(lambda: self.members("c0").keys() == self.members("c1").keys() == {"c0", "c1"}, 10, "they know each other")

    def answers(self):
        """To each prompt, while nothing disturbs."""
        each = [[ask(self.url[n], p, 30) for p in PROMPTS] for n in ("c0", "c1")]
        assert each[0] == each[1], "both coordinators have the same answers"
        return each[0]

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
        stop_all(self._processes.values())

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


def commit():
    git = ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def lacks(*programs):
    """Whether one of them is missing, which is said."""
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        print(f"[SKIPPED] {missing[0]} is missing; `tools/install_deps.sh test` installs it")
    return bool(missing)


def in_a_folder(run, args):
    """run(programs, folder, report file), of a command line with --bin and --report."""
    with tempfile.TemporaryDirectory(prefix="sluice-ha-", ignore_cleanup_errors=True) as work:
        run(args.bin.resolve(), Path(work), args.report)
    return 0
