"""What tests of a cluster with TLS, keys and tenants share: its certificates, its keys, its processes and their refusals."""
import json
import os
import subprocess
import tempfile
import time
import urllib.error
from pathlib import Path

from cluster import MODEL, Cluster

ROOT = Path(__file__).resolve().parents[2]
MARKER = "xyzzy-plugh-marker"
TOKEN = "cluster-token-that-nobody-may-see"
CHAT = {"messages": [{"role": "user", "content": "Say something."}], "max_tokens": 8, "temperature": 0}
_programs = Path()


def use(bin_dir):
    """Where the programs are; before anything else."""
    global _programs
    _programs = bin_dir.resolve()


def program(name):
    return _programs / name


def cluster(**options):
    return Cluster(_programs, **options)


class Files:
    """Certificates and keys of one cluster."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="sluice-security-"))
        self.make()
        self.secrets = {}
        lines = []
        for name, *flags in [("boss", "--admin"), ("user",), ("few", "--requests-per-minute", "10"),
                             ("three", "--concurrent", "3"), ("tokens", "--tokens-per-minute", "200"),
                             ("other", "--models", "another"), ("batch", "--slo-classes", "batch"),
                             ("old", "--expires", "2020-01-01")]:
            lines.append(self.key(name, *flags))
        self.keys = self.write("keys", "".join(lines))

    def key(self, name, *flags):
        made = json.loads(ctl("key", "new", "--json", "--id", name, "--tenant", "of-" + name, *flags))
        self.secrets[name] = made["key"]
        return made["line"] + "\n"

    def make(self, role=None, into=None, days=None):
        env = dict(os.environ)
        if role:
            env["ROLE"] = role
        if days:
            env["DAYS"] = days
        subprocess.run([ROOT / "deploy/tls/make_certs.sh", into or self.dir, "localhost", "127.0.0.1"], env=env, check=True,
                       stderr=subprocess.DEVNULL)

    def write(self, name, text):
        at = self.dir / name
        fresh = self.dir / (name + ".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(at)
        return at

    def of(self, name):
        return str(self.dir / name)

    def revoke(self, name=""):
        """Takes a certificate back; without a name only makes the list anew."""
        env = {**os.environ, "REVOKE": name}
        subprocess.run([ROOT / "deploy/tls/make_certs.sh", self.dir], env=env, check=True, stderr=subprocess.DEVNULL)

    def cluster_flags(self, role, of=None):
        at = of or self.dir
        return ["--cluster-cert", f"{at}/{role}.pem", "--cluster-key", f"{at}/{role}.key", "--cluster-ca", self.of("ca.pem")]

    def coordinator_flags(self, *more):
        return ["--tls-cert", self.of("coordinator.pem"), "--tls-key", self.of("coordinator.key"), "--api-keys",
                str(self.keys), *self.cluster_flags("coordinator"), *more]

    def cluster(self, *more, node_flags=(), **kw):
        return cluster(coordinator_flags=self.coordinator_flags(*more), ca=self.of("ca.pem"),
                       node_flags=lambda role: [*self.cluster_flags(role), *node_flags], **kw)


def ctl(*args, env=None, fails=False):
    r = subprocess.run([program("sluicectl"), *args], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
    if (r.returncode != 0) != fails:
        raise AssertionError(f"sluicectl {args} ended with {r.returncode}: {r.stdout}{r.stderr}")
    return r.stdout if not fails else r.stdout + r.stderr


def refused(call, status, code=None):
    """The error body of a call that must be refused so."""
    try:
        call()
    except urllib.error.HTTPError as e:
        body = json.loads(e.read())["error"]
        assert e.code == status, (e.code, body)
        assert code is None or body["code"] == code, body
        return e.headers, body
    raise AssertionError(f"not refused, although {status} was expected")


def chat(c, key, **more):
    return c.ask("/v1/chat/completions", {**CHAT, **more}, key)


def eventually(what, holds, limit=15):
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def start_node(c, role, *flags, env=None):
    """One more node with these flags: its process and log."""
    log = c.directory / f"extra-{role}-{time.monotonic_ns()}.log"
    with open(log, "wb") as out:
        p = subprocess.Popen([program(f"sluice-{role}"), "--model", MODEL, "--coordinator", c.control, "--threads", "1",
                              "--kv-memory-mib", "32", "--name", "extra", *flags], stdout=out, stderr=out,
                             env={**os.environ, **(env or {})})
    return p, log


def not_joined(c, key, role, *flags, says, env=None):
    p, log = start_node(c, role, *flags, env=env)
    try:
        eventually(f"{says!r} in {log.read_text()}", lambda: says in log.read_text())
        nodes = json.loads(c.ask("/sluice/v1/nodes", key=key)[2])["nodes"]
        assert all(n["node"] != "extra" for n in nodes)
    finally:
        p.kill()
        p.wait()


def starts_not(*flags, says, env=None):
    r = subprocess.run([program("sluice-coordinator"), "--model", MODEL, "--port", "0", *flags], capture_output=True, text=True,
                       timeout=30, env={**os.environ, **(env or {})})
    assert r.returncode == 2, (r.returncode, r.stderr)
    assert says in r.stderr, r.stderr
    return r.stderr
