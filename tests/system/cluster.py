"""A cluster of real processes on the bundled model, for the Python tests."""
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from processes import die_with_parent, stop_all

MODEL = Path(__file__).resolve().parents[2] / "models" / "sluice-tiny"
READY_LIMIT_S = 60


class Cluster:
    """`with Cluster(bin_dir, prefills=2, decodes=2) as c:` runs it; the logs' ends are printed if the body raises."""

    def __init__(self, bin_dir, prefills=1, decodes=1, coordinator_flags=(), node_flags=(), env=None,
                 ca=None, model=MODEL, local_prefill=False, kv_memory_mib=64):
        """node_flags: further ones, or a function that gives them by role; env: of all daemons; ca: the authority's file where HTTP is HTTPS."""
        self._bin = Path(bin_dir)
        self._model = model
        self._local_prefill = "on" if local_prefill else "off"  # on one machine nearly every prompt would be local
        self._prefills = prefills
        self._decodes = decodes
        self._coordinator_flags = coordinator_flags
        self._more_node_flags = node_flags if callable(node_flags) else lambda role: node_flags
        self._kv_memory_mib = str(kv_memory_mib)
        self._env = {**os.environ, **(env or {})}
        self._tls = ssl.create_default_context(cafile=ca) if ca else None
        self._processes = {}

    def __enter__(self):
        self._dir = Path(tempfile.mkdtemp(prefix="sluice-cluster-"))
        try:
            self._start()
        except BaseException:
            self._stop(show=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self._stop(show=kind is not None)

    def _spawn(self, name, program, *args):
        with open(self._dir / f"{name}.log", "ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._bin / program, "--model", self._model, *args], stdout=log, stderr=log, env=self._env,
                preexec_fn=die_with_parent)

    def _start(self):
        ready = self._dir / "ready"
        self._spawn("coordinator", "sluice-coordinator", "--port", "0", "--ready-file", ready, "--max-wait-s", "300",
                    "--local-prefill", self._local_prefill,
                    "--front-threads", os.environ.get("SLUICE_TEST_FRONT_THREADS", "1"), *self._coordinator_flags)
        self._until(ready.exists)
        addresses = json.loads(ready.read_text())
        self.http = f"{addresses['scheme']}://{addresses['http']}"
        self.admin = f"{addresses['scheme']}://{addresses.get('admin', addresses['http'])}"
        self.control = addresses["control"]
        self._node_flags = ["--coordinator", addresses["control"], "--threads", "1", "--kv-memory-mib", self._kv_memory_mib]
        for i in range(self._prefills):
            self._spawn(f"p{i}", "sluice-prefill", "--name", f"p{i}", *self._node_flags,
                        *self._more_node_flags("prefill"))
        for i in range(self._decodes):
            self._spawn(f"d{i}", "sluice-decode", "--name", f"d{i}", *self._node_flags,
                        *self._more_node_flags("decode"))
        self._until(self._complete)

    def add_decode(self, name):
        """One more decode node, of any name."""
        self._spawn(f"d{self._decodes}", "sluice-decode", "--name", name, *self._node_flags,
                    *self._more_node_flags("decode"))
        self._decodes += 1
        self._until(self._complete)

    def kill(self, name):
        """SIGKILL, and gone when this returns."""
        p = self._processes.pop(name)
        p.kill()
        p.wait()

    def end(self, name, limit=120):
        """SIGTERM, and gone when this returns: after how many seconds."""
        p, at = self._processes.pop(name), time.monotonic()
        p.terminate()
        if p.wait(limit) != 0:
            raise RuntimeError(f"{name} ended with status {p.returncode}")
        return time.monotonic() - at

    def revive(self, name):
        """Starts a decode node that was killed again, and returns when the cluster is whole."""
        self._spawn(name, "sluice-decode", "--name", name, *self._node_flags, *self._more_node_flags("decode"))
        self._until(self._complete)

    def _complete(self):
        try:
            health = json.loads(self.get("/health"))
        except urllib.error.HTTPError:  # 503 until a node of each role is there
            return False
        return (health["prefill_nodes"], health["decode_nodes"]) == (self._prefills, self._decodes)

    def _until(self, done):
        end = time.monotonic() + READY_LIMIT_S
        while not done():
            for name, p in self._processes.items():
                if p.poll() is not None:
                    raise RuntimeError(f"{name} ended with status {p.returncode} before the cluster was ready")
            if time.monotonic() > end:
                raise RuntimeError("the cluster did not become ready")
            time.sleep(0.01)

    def _stop(self, show):
        stop_all(self._processes.values())
        if show:
            for log in sorted(self._dir.glob("*.log")):
                print(f"---- {log.name} (its end)\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
        shutil.rmtree(self._dir, ignore_errors=True)

    def get(self, target):
        return self.ask(target)[2]

    def ask(self, target, body=None, key="", method=None, at=None, timeout_s=30):
        """(status, headers, text) of a 2xx answer; others raise urllib.error.HTTPError."""
        headers = {"Authorization": "Bearer " + key} if key else {}
        data = None if body is None else json.dumps(body).encode()
        q = urllib.request.Request((at or self.http) + target, data, headers, method=method)
        with urllib.request.urlopen(q, timeout=timeout_s, context=self._tls) as r:
            return r.status, r.headers, r.read().decode()

    @property
    def directory(self):
        return self._dir

    @property
    def pids(self):
        return {name: p.pid for name, p in self._processes.items()}

    def pid(self, name):
        return self._processes[name].pid

    def log(self, name):
        return (self._dir / f"{name}.log").read_text(errors="replace")

    def metric(self, name, label=""):
        """The sum of a coordinator metric's series whose labels hold `label`."""
        return self.metric_at(self.http, name, label)

    def metric_at(self, where, name, label=""):
        total = 0.0
        for line in self.ask("/metrics", at=where)[2].splitlines():
            if line.startswith((name + " ", name + "{")) and label in line:
                total += float(line.rsplit(" ", 1)[1])
        return total
