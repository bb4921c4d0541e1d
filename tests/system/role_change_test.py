#!/usr/bin/env python3
"""A prefill node becomes a decode node and comes back, with real processes.

Two prefill nodes and one decode node under load: `sluicectl role` changes one of the former and back, and again. No request
is lost, every answer is that of the undisturbed cluster, the process is the same one, its ports are those that were asked
for, and no descriptor is left over. Then again in a cluster with TLS, API keys, a token from a private --config file, and a
--role-config with the other role's certificate. Then what must be refused.
"""
import argparse
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
from pathlib import Path

import security_cluster as sec
from cluster import MODEL, Cluster

PROMPTS = [f"Tell me about the number {i}, and then some more of it." for i in range(6)]
LIMIT_S = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(c, prompt, key=""):
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 40, "temperature": 0, "seed": 1}
    return json.loads(c.ask("/v1/chat/completions", body, key)[2])["choices"][0]["message"]["content"]


class Load:
    """Clients that ask in turns until they are told to stop; every failure and every other answer counts."""

    def __init__(self, c, reference, key=""):
        self.answered, self.bad, self._end = 0, [], threading.Event()
        self._c, self._reference, self._key = c, reference, key
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(3)]

    def _run(self, first):
        i = first
        while not self._end.is_set():
            prompt = PROMPTS[i % len(PROMPTS)]
            i += 1
            try:
                text = ask(self._c, prompt, self._key)
            except urllib.error.HTTPError as e:
                text = f"status {e.code}: {e.read().decode()}"
            except OSError as e:
                text = f"lost: {e}"
            if text != self._reference[prompt]:
                self.bad.append((prompt, text))
            self.answered += 1

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for t in self._threads:
            t.join()


def node(c, name, key=""):
    nodes = json.loads(c.ask("/sluice/v1/nodes", key=key)[2])["nodes"]
    return next((n for n in nodes if n["node"] == name), None)


def until(what, holds, limit=LIMIT_S):
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def ctl(bin_dir, c, *args, env=None, fails=False):
    r = subprocess.run([bin_dir / "sluicectl", *args, "--url", c.http], capture_output=True, text=True, timeout=60,
                       env={**os.environ, **(env or {})})
    assert (r.returncode != 0) == fails, (args, r.returncode, r.stdout, r.stderr)
    return r.stdout + r.stderr


def facts(pid):
    """(program, arguments, number of descriptors) of a process."""
    at = Path(f"/proc/{pid}")
    return (os.readlink(at / "exe"), (at / "cmdline").read_bytes().decode().split("\0"), len(list((at / "fd").iterdir())))


def change(bin_dir, c, name, to, key="", env=None):
    """Seconds from the order until the node is there in its new role."""
    before = node(c, name, key)
    at = time.monotonic()
    said = ctl(bin_dir, c, "role", name, to, env=env)
    assert f"becomes a {to} node" in said, said
    until(f"{name} is a {to} node", lambda: (node(c, name, key) or {}).get("role") == to)
    took = time.monotonic() - at
    after = node(c, name, key)
    assert after["incarnation"] != before["incarnation"] and after["state"] == "ready", after
    assert after["admin_address"] == before["admin_address"], (before, after)
    return took


def role_events(c):
    """Those that the log still holds: of a busy coordinator it holds seconds."""
    return [d for d in json.loads(c.get("/sluice/v1/decisions?limit=1000"))["decisions"] if "event" in d]


def plain(bin_dir):
    admin, data = free_port(), free_port()
    role_config = Path(tempfile.mkstemp(prefix="sluice-role-", suffix=".toml")[1])
    role_config.write_text(f'data-listen = "127.0.0.1:{data}"\nmax-seqs = 7\n')
    with Cluster(bin_dir, prefills=2, decodes=1) as c:
        # One more that asks for its ports by number, and holds options of its own role that must come back.
        c._spawn("p2", "sluice-prefill", "--name", "p2", *c._node_flags, "--admin-listen", f"127.0.0.1:{admin}",
                 "--max-waiting", "9", "--role-config", role_config, "--log-format", "json")
        until("p2 joined", lambda: node(c, "p2"))
        assert node(c, "p2")["changes_role"] is True
        pid = c.pid("p2")
        reference = {p: ask(c, p) for p in PROMPTS}
        program, _, descriptors = facts(pid)
        assert program.endswith("sluice-prefill"), program
        opened = []
        with Load(c, reference) as load:
            for turn in range(2):
                took = change(bin_dir, c, "p2", "decode")
                told = role_events(c)
                assert told and told[-1]["role"] == "decode", told
                d = node(c, "p2")
                assert d["data_address"] == f"127.0.0.1:{data}", d
                program, args, open_now = facts(pid)
                assert program.endswith("sluice-decode"), program
                served = d["requests"]
                until("it decodes", lambda: node(c, "p2")["requests"] > served)
                back = change(bin_dir, c, "p2", "prefill")
                told = role_events(c)
                assert told and told[-1]["role"] == "prefill", told
                program, args, now = facts(pid)
                assert program.endswith("sluice-prefill"), program
                opened.append(now)
                served = node(c, "p2")["requests"]
                until("it computes prompts", lambda: node(c, "p2")["requests"] > served)
                print(f"change to decode {took:.2f} s, back {back:.2f} s, under load", flush=True)
        assert not load.bad, load.bad[:3]
        assert load.answered > 10, load.answered
        print(f"{load.answered} requests meanwhile, all as undisturbed; PID {pid} all along; descriptors {descriptors} at "
              f"first, {opened} after each change back", flush=True)
        assert opened[1] <= opened[0] + 4, opened  # connections come and go; what leaks grows with each change
        assert "p2" in ctl(bin_dir, c, "nodes")
        assert c.metric("sluice_role_changes_total", 'to="decode"') == 2
        assert all(json.loads(line)["node"] == "p2" for line in c.log("p2").splitlines() if line.startswith("{"))
        refusals(bin_dir, c)
        # The node ends as ever, also in a role that it did not begin with.
        change(bin_dir, c, "p2", "decode")
        p = c._processes.pop("p2")
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
    role_config.unlink()


def refusals(bin_dir, c):
    assert "last decode node" in ctl(bin_dir, c, "role", "d0", "prefill", fails=True)
    assert "is a prefill node already" in ctl(bin_dir, c, "role", "p0", "prefill", fails=True)
    assert "is not registered" in ctl(bin_dir, c, "role", "p9", "prefill", fails=True)
    wrong = Path(tempfile.mkstemp(prefix="sluice-role-", suffix=".toml")[1])
    for text, says in [("max-seq = 3\n", "max-seqs"), ("name = \"x\"\n", "whatever its role"), ("[a]\nb = 1\n", "no sections"),
                       ("max-seqs = 0\n", "max-seqs")]:
        wrong.write_text(text)
        r = subprocess.run([bin_dir / "sluice-prefill", "--model", MODEL, "--coordinator", c.control, "--role-config", wrong],
                           capture_output=True, text=True, timeout=30)
        assert r.returncode == 2 and "--role-config" in r.stderr and says in r.stderr, (text, r.returncode, r.stderr)
    wrong.unlink()
    # Alone in its folder, a node keeps its role and says so.
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "sluice-prefill"
        try:
            os.link(bin_dir / "sluice-prefill", alone)
        except OSError:
            alone.write_bytes((bin_dir / "sluice-prefill").read_bytes())
            alone.chmod(0o755)
        p = subprocess.Popen([alone, "--model", MODEL, "--coordinator", c.control, "--name", "alone", "--threads", "1",
                              "--kv-memory-mib", "32"], stderr=subprocess.DEVNULL)
        try:
            until("alone joined", lambda: node(c, "alone"))
            assert node(c, "alone")["changes_role"] is False
            assert "cannot change its role" in ctl(bin_dir, c, "role", "alone", "decode", fails=True)
        finally:
            p.terminate()
            p.wait(20)


def guarded(bin_dir):
    sec.use(bin_dir)
    files = sec.Files()
    token = sec.TOKEN
    key = files.secrets["boss"]
    config = files.write("node.toml", f'cluster-token = "{token}"\nthreads = 1\n')
    role = files.write("role.toml", "".join(f'cluster-{what} = "{files.of("decode." + end)}"\n'
                                            for what, end in [("cert", "pem"), ("key", "key")]))
    with files.cluster(prefills=1, decodes=1, node_flags=["--admin-tls", "server"], env={"SLUICE_CLUSTER_TOKEN": token},
                       ) as c:
        env = {k: v for k, v in os.environ.items() if k != "SLUICE_CLUSTER_TOKEN"}
        with open(c.directory / "p1.log", "ab") as log:
            p = subprocess.Popen([bin_dir / "sluice-prefill", "--config", config, "--model", MODEL, "--coordinator", c.control,
                                  "--kv-memory-mib", "32", "--name", "p1", *files.cluster_flags("prefill"),
                                  "--admin-tls", "server", "--role-config", role], stderr=log, env=env)
        try:
            until("p1 joined", lambda: node(c, "p1", key))
            config.unlink()  # what is in effect goes over, not the file
            reference = {q: ask(c, q, key) for q in PROMPTS}
            ctl_env = {"SLUICE_API_KEY": key}
            as_ctl = lambda *a, **k: sec.ctl(*a, "--url", c.http, "--ca", files.of("ca.pem"), env=ctl_env, **k)
            with Load(c, reference, key) as load:
                for to in ("decode", "prefill", "decode"):
                    at = time.monotonic()
                    as_ctl("role", "p1", to)
                    until(f"p1 is a {to} node", lambda: (node(c, "p1", key) or {}).get("role") == to)
                    print(f"with TLS and a token, to {to}: {time.monotonic() - at:.2f} s", flush=True)
                    seen = Path(f"/proc/{p.pid}/cmdline").read_bytes() + Path(f"/proc/{p.pid}/environ").read_bytes()
                    assert token.encode() not in seen, "a secret in argv or environment"
                    assert node(c, "p1", key)["admin_scheme"] == "https"
                    served = node(c, "p1", key)["requests"]
                    until("it serves", lambda: node(c, "p1", key)["requests"] > served)
            assert not load.bad, load.bad[:3]
            print(f"{load.answered} requests meanwhile, all as undisturbed", flush=True)
            refusal = sec.refused(lambda: c.ask("/sluice/v1/role/p1", {"to": "prefill"}, files.secrets["user"]), 403)
            assert refusal
            sec.refused(lambda: c.ask("/sluice/v1/role/p1", {"to": "both"}, key), 400)
        finally:
            p.terminate()
            p.wait(20)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True, type=Path)
    bin_dir = a.parse_args().bin.resolve()
    plain(bin_dir)
    guarded(bin_dir)
    print("ok")


if __name__ == "__main__":
    main()
