#!/usr/bin/env python3
"""A cluster with TLS, keys and tenants, as real processes with certificates that openssl makes: what works, and what is
refused. Usage: security_test.py --bin DIR [NAME ...]; exits 77 without openssl. docs/security.md names these tests."""
import argparse
import concurrent.futures
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from pathlib import Path

from cluster import MODEL, Cluster

ROOT = Path(__file__).resolve().parents[2]
MARKER = "xyzzy-plugh-marker"
TOKEN = "cluster-token-that-nobody-may-see"
CHAT = {"messages": [{"role": "user", "content": "Say something."}], "max_tokens": 8, "temperature": 0}
BIN = Path()


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
        return Cluster(BIN, coordinator_flags=self.coordinator_flags(*more), ca=self.of("ca.pem"),
                       node_flags=lambda role: [*self.cluster_flags(role), *node_flags], **kw)


def ctl(*args, env=None, fails=False):
    r = subprocess.run([BIN / "sluicectl", *args], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})})
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
        p = subprocess.Popen([BIN / f"sluice-{role}", "--model", MODEL, "--coordinator", c.control, "--threads", "1",
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
    r = subprocess.run([BIN / "sluice-coordinator", "--model", MODEL, "--port", "0", *flags], capture_output=True, text=True,
                       timeout=30, env={**os.environ, **(env or {})})
    assert r.returncode == 2, (r.returncode, r.stderr)
    assert says in r.stderr, r.stderr
    return r.stderr


# ---- Tests that share one cluster ----


def test_https_chat_and_tools(f, c):
    status, headers, text = chat(c, f.secrets["user"])
    assert status == 200 and json.loads(text)["usage"]["completion_tokens"] > 0
    common = ["--url", c.http, "--ca", f.of("ca.pem"), "--api-key-file", str(f.write("user.key", f.secrets["user"] + "\n"))]
    assert "ready" in ctl("status", *common)
    assert ctl("chat", "Hello", "--max-tokens", "5", *common).strip()
    assert json.loads(ctl("bench", "--json", "--requests", "4", "--input-len", "16", "--output-len", "4", *common))
    assert "not believed" in ctl("status", "--url", c.http, fails=True)  # not the system's authority


def test_key_must_be_known(f, c):
    refused(lambda: chat(c, ""), 401, "invalid_api_key")
    refused(lambda: chat(c, f.secrets["user"] + "x"), 401, "invalid_api_key")
    refused(lambda: chat(c, f.secrets["old"]), 401, "expired_api_key")


def test_models_and_classes_of_a_key(f, c):
    refused(lambda: chat(c, f.secrets["other"]), 403, "model_not_allowed")
    refused(lambda: chat(c, f.secrets["batch"]), 403, "slo_class_not_allowed")


def test_settings_take_an_administrators_key(f, c):
    change = {"class": "default", "ttft_ms": 900}
    refused(lambda: c.ask("/sluice/v1/slo", change, f.secrets["user"], "PUT"), 403, "admin_key_required")
    refused(lambda: c.ask("/sluice/v1/drain/p0", {}, f.secrets["user"], "POST"), 403, "admin_key_required")
    assert c.ask("/sluice/v1/slo", change, f.secrets["boss"], "PUT")[0] == 200
    assert json.loads(c.ask("/sluice/v1/status", key=f.secrets["user"])[2])["admin"] is False
    assert json.loads(c.ask("/sluice/v1/status", key=f.secrets["boss"])[2])["admin"] is True


def test_quota_of_requests_is_exact(f, c):
    def one(_):
        try:
            return chat(c, f.secrets["few"])[0]
        except urllib.error.HTTPError as e:
            body = json.loads(e.read())["error"]
            assert body["code"] == "rate_limit_exceeded" and body["type"] == "requests", body
            assert int(e.headers["retry-after"]) >= 1 and e.headers["x-ratelimit-limit-requests"] == "10"
            return e.code

    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(20) as crowd:
        statuses = list(crowd.map(one, range(40)))
    grown = int((time.monotonic() - begun) * 10 / 60)  # that the budget got back meanwhile
    assert 10 <= statuses.count(200) <= 10 + grown, statuses
    assert statuses.count(200) + statuses.count(429) == 40


def test_quota_of_concurrent_requests_is_exact(f, c):
    gate, held, seen = threading.Barrier(12), threading.Event(), []

    def one(_):
        gate.wait()
        try:
            return chat(c, f.secrets["three"], max_tokens=200, ignore_eos=True)[0]
        except urllib.error.HTTPError as e:
            seen.append(json.loads(e.read())["error"]["message"])
            return e.code

    def watch():
        while not held.is_set():
            running = c.metric_at(c.admin, "sluice_tenant_requests_running", 'tenant="of-three"')
            assert running <= 3, running

    looking = concurrent.futures.ThreadPoolExecutor(1).submit(watch)
    with concurrent.futures.ThreadPoolExecutor(12) as crowd:
        statuses = list(crowd.map(one, range(12)))
    held.set()
    looking.result()
    assert statuses.count(200) >= 3 and statuses.count(429) > 0, statuses
    assert all("3 requests at a time" in s for s in seen)
    eventually("nothing is held", lambda: c.metric_at(c.admin, "sluice_tenant_requests_running", 'tenant="of-three"') == 0)
    assert chat(c, f.secrets["three"])[0] == 200


def test_quota_of_tokens_is_settled(f, c):
    _, headers, text = chat(c, f.secrets["tokens"], max_tokens=100, stop=["e"])
    used = json.loads(text)["usage"]["total_tokens"]
    left = int(headers["x-ratelimit-remaining-tokens"])
    assert 200 - used <= left <= 200 - used + 10, (used, left)  # what was not used came back
    headers, body = refused(lambda: chat(c, f.secrets["tokens"], max_tokens=1000), 429, "rate_limit_exceeded")
    assert body["type"] == "tokens" and "retry-after" not in {h.lower() for h in headers}, body  # no minute has as many


def test_nodes_prove_their_role(f, c):
    boss = f.secrets["boss"]
    strangers = Path(tempfile.mkdtemp())
    f.make(into=strangers)
    old = Path(tempfile.mkdtemp())
    for name in ["ca.pem", "ca.key"]:
        shutil.copy(f.dir / name, old)
    subprocess.run(f"cd {old} && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout decode.key "
                   "-subj /CN=decode -out csr 2>/dev/null && chmod 600 decode.key && openssl x509 -req -in csr -CA ca.pem "
                   "-CAkey ca.key -set_serial 9 -days -1 -out decode.pem 2>/dev/null", shell=True, check=True)
    try:
        not_joined(c, boss, "prefill", *f.cluster_flags("decode"), says="does not allow the role prefill")
        not_joined(c, boss, "decode", *f.cluster_flags("decode", of=strangers), says="TLS")
        not_joined(c, boss, "decode", *f.cluster_flags("decode", of=old), says="expired")
        not_joined(c, boss, "decode", says="--cluster-cert")  # a plain node
        log = c.log("coordinator")
        assert "node refused" in log
        assert chat(c, f.secrets["user"])[0] == 200
    finally:
        shutil.rmtree(strangers)
        shutil.rmtree(old)


def test_plain_client_at_the_tls_port(f, c):
    with socket.create_connection(c.http.removeprefix("https://").rsplit(":", 1), timeout=5) as s:
        s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        s.settimeout(5)
        got = b""
        try:
            while piece := s.recv(1000):
                got += piece
        except OSError:
            pass
        assert not got.startswith(b"HTTP"), got
    assert chat(c, f.secrets["user"])[0] == 200


def test_old_versions_of_tls_are_refused(f, c):
    host, port = c.http.removeprefix("https://").rsplit(":", 1)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    try:
        old.wrap_socket(socket.create_connection((host, int(port)), timeout=5))
        raise AssertionError("TLS 1.1 was spoken")
    except (ssl.SSLError, OSError):
        pass


def test_slow_handshakes_delay_nobody(f, c):
    host, port = c.http.removeprefix("https://").rsplit(":", 1)
    half_open = []
    try:
        for _ in range(2000):
            s = socket.create_connection((host, int(port)), timeout=5)
            s.sendall(b"\x16\x03\x01\x02")
            half_open.append(s)
        times = []
        for _ in range(5):
            begun = time.monotonic()
            assert c.ask("/health")[0] == 200
            times.append(time.monotonic() - begun)
        print(f"  /health beside {len(half_open)} half-open handshakes: {max(times) * 1e3:.0f} ms at most")
        assert max(times) < 2, times
    finally:
        for s in half_open:
            s.close()


def test_renewal_under_load_fails_no_request(f, c):
    stop, failed, done = threading.Event(), [], []

    def load():
        while not stop.is_set():
            try:
                done.append(chat(c, f.secrets["user"])[0])
            except Exception as e:  # noqa: BLE001: any failure is what this looks for
                failed.append(repr(e))

    crowd = [threading.Thread(target=load) for _ in range(4)]
    for t in crowd:
        t.start()
    try:
        before = shown_certificate(c)
        f.make("coordinator")
        text = f.keys.read_text()
        f.keys = f.write("keys", text + f.key("late"))
        eventually("the new certificate is shown", lambda: shown_certificate(c) != before)
        eventually("the new key is known", lambda: knows(c, f.secrets["late"]))
        good = shown_certificate(c)
        kept = (f.dir / "coordinator.pem").read_bytes()
        f.write("coordinator.pem", "broken")
        f.write("keys", "broken\n")
        eventually("bad files are said", lambda: "the old ones stay" in c.log("coordinator")
                   and "the old keys stay" in c.log("coordinator"))
        assert shown_certificate(c) == good and knows(c, f.secrets["late"])
        f.write("coordinator.pem", kept.decode())
        f.write("keys", text)
        eventually("a key that was taken out is unknown", lambda: not knows(c, f.secrets["late"]))
        count = len(done)
        eventually("the load goes on", lambda: len(done) > count + 5)
    finally:
        stop.set()
        for t in crowd:
            t.join()
    print(f"  {len(done)} requests, {len(failed)} failed")
    assert not failed, failed[:3]


def shown_certificate(c):
    host, port = c.http.removeprefix("https://").rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port)))


def knows(c, key):
    try:
        return c.ask("/v1/models", key=key)[0] == 200
    except urllib.error.HTTPError as e:
        assert e.code == 401
        return False


def test_operators_listener_is_apart(f, c):
    refused(lambda: c.ask("/metrics"), 401)
    refused(lambda: c.ask("/metrics", key=f.secrets["boss"]), 404)
    refused(lambda: c.ask("/sluice/v1/nodes", key=f.secrets["boss"]), 404)
    refused(lambda: c.ask("/ui", key=f.secrets["boss"]), 404)
    assert "sluice_tenant_requests_total" in c.ask("/metrics", at=c.admin)[2]
    refused(lambda: c.ask("/sluice/v1/nodes", at=c.admin), 401)
    assert c.ask("/sluice/v1/nodes", key=f.secrets["boss"], at=c.admin)[0] == 200


def test_stranger_at_the_data_port(f, c):
    nodes = json.loads(c.ask("/sluice/v1/nodes", key=f.secrets["boss"], at=c.admin)[2])["nodes"]
    host, port = next(n["data_address"] for n in nodes if n["role"] == "decode").rsplit(":", 1)
    admin = next(n["admin_address"] for n in nodes if n["role"] == "decode")

    def say(words):
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(words)
            s.settimeout(8)
            got = b""
            try:
                while piece := s.recv(4096):
                    got += piece
            except ConnectionResetError:
                pass
            return got

    prefix = b"SliceKV1"
    hello = prefix + (1).to_bytes(2, "little") + b"\0\0" + (8).to_bytes(4, "little") + (77).to_bytes(8, "little") + b"x" * 8
    proven = prefix + (2).to_bytes(2, "little") + b"\0\0" + (8).to_bytes(4, "little") + (77).to_bytes(8, "little")
    assert say(b"\xff" * 5000) == b""       # noise
    assert say(hello) == b""                # no proof: not even an answer
    assert say(proven + b"p" * 32 + b"x" * 8) == b""  # a wrong one
    crowd = [socket.create_connection((host, int(port)), timeout=5) for _ in range(1500)]  # more than there are places
    try:
        assert chat(c, f.secrets["user"])[0] == 200
    finally:
        for s in crowd:
            s.close()
    import urllib.request
    page = urllib.request.urlopen(f"http://{admin}/metrics", timeout=10).read().decode()
    count = next(float(line.split()[1]) for line in page.splitlines() if line.startswith("sluice_transport_strangers_total "))
    assert count >= 2, count
    assert "stranger at the KV port refused" in c.log("d0")


def test_prompts_and_secrets_are_nowhere(f, c):
    """After all the others, at log level debug."""
    secret = f.secrets["user"]
    body = {"messages": [{"role": "user", "content": MARKER}], "max_tokens": 4}
    assert c.ask("/v1/chat/completions", body, secret)[0] == 200
    refused(lambda: c.ask("/v1/chat/completions", {**body, "temperature": MARKER}, secret), 400)
    refused(lambda: c.ask("/v1/chat/completions", body, MARKER), 401)
    time.sleep(0.3)
    assert " debug " in c.log("coordinator") and " debug " in c.log("d0")
    needles = [MARKER, TOKEN, *f.secrets.values(), "PRIVATE KEY"]
    for log in c.directory.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [n for n in needles if n in text], log
    for name, pid in c.pids.items():
        for part in ["cmdline", "environ"]:
            text = Path(f"/proc/{pid}/{part}").read_bytes().decode(errors="replace")
            assert not [n for n in needles if n in text], (name, part)
    decisions = c.ask("/sluice/v1/decisions", key=f.secrets["boss"], at=c.admin)[2]
    assert MARKER not in decisions and '"tenant":"of-user"' in decisions.replace(" ", "")
    assert MARKER not in c.ask("/metrics", at=c.admin)[2]


# ---- Tests with processes of their own ----


def test_open_to_others_takes_a_credential(f):
    assert "--api-keys" in starts_not("--host", "0.0.0.0", says="--host")
    starts_not("--host", "::", says="--tls-client-ca")
    starts_not("--control-listen", "0.0.0.0:0", says="--cluster-token-file")
    starts_not("--admin-listen", "0.0.0.0:0", says="--admin-listen")
    with Cluster(BIN, coordinator_flags=["--host", "0.0.0.0", "--insecure-bind"]) as c:
        assert "INSECURE" in c.log("coordinator")
    with Cluster(BIN, coordinator_flags=["--host", "0.0.0.0", "--control-listen", "0.0.0.0:0"],
                 env={"SLUICE_API_KEY": "k", "SLUICE_CLUSTER_TOKEN": "t"}) as c:
        assert "INSECURE" not in c.log("coordinator")


def test_secrets_on_the_command_line_are_refused(f):
    for flag in ["--api-key", "--cluster-token"]:
        for form in [[flag, MARKER], [f"{flag}={MARKER}"]]:
            assert MARKER not in starts_not(*form, says="command line")
    for role in ["prefill", "decode"]:
        r = subprocess.run([BIN / f"sluice-{role}", "--model", MODEL, "--coordinator", "x:1", "--cluster-token", MARKER],
                           capture_output=True, text=True, timeout=30)
        assert r.returncode == 2 and "--cluster-token-file" in r.stderr and MARKER not in r.stderr, r.stderr
    said = ctl("status", "--api-key", MARKER, fails=True)
    assert "--api-key-file" in said and MARKER not in said


def test_secret_files_must_be_private(f):
    for flag, name in [("--api-key-file", "k"), ("--cluster-token-file", "t"), ("--api-keys", "keys2")]:
        path = f.write(name, MARKER + "\n")
        path.chmod(0o644)
        if flag == "--api-keys":
            r = subprocess.run([BIN / "sluice-coordinator", "--model", MODEL, "--port", "0", flag, path], capture_output=True,
                               text=True, timeout=30)
            assert r.returncode == 1 and "chmod 600" in r.stderr, r.stderr
        else:
            assert MARKER not in starts_not(flag, str(path), says="chmod 600")
    key = f.dir / "coordinator.key"
    key.chmod(0o640)
    os.chown(key, 1000, 1000) if os.getuid() == 0 else key.chmod(0o644)
    r = subprocess.run([BIN / "sluice-coordinator", "--model", MODEL, "--port", "0", "--tls-cert", f.of("coordinator.pem"),
                        "--tls-key", key], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "chmod 600" in r.stderr, r.stderr
    if os.getuid() == 0:
        os.chown(key, 0, 0)
    key.chmod(0o600)
    config = f.write("config.toml", f'api-key = "{MARKER}"\n')
    config.chmod(0o644)
    assert MARKER not in starts_not("--config", str(config), says="chmod 600")


def test_token_and_certificates_may_both_be_demanded(f):
    with Cluster(BIN, coordinator_flags=[*f.cluster_flags("coordinator")], node_flags=f.cluster_flags,
                 env={"SLUICE_CLUSTER_TOKEN": TOKEN}) as c:
        not_joined(c, "", "decode", *f.cluster_flags("decode"), says="wrong cluster token",
                   env={"SLUICE_CLUSTER_TOKEN": "another"})


def test_a_node_tells_nothing_to_a_false_coordinator(f):
    """Whoever listens there with another role's certificate hears no token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f.of("prefill.pem"), f.of("prefill.key"))
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            try:
                s, _ = listener.accept()
                s = context.wrap_socket(s, server_side=True)
                s.settimeout(3)
                heard.append(s.recv(1000))
            except OSError:
                heard.append(b"")

        t = threading.Thread(target=serve)
        t.start()
        p = subprocess.Popen([BIN / "sluice-decode", "--model", MODEL, "--coordinator",
                              f"127.0.0.1:{listener.getsockname()[1]}", "--threads", "1", "--kv-memory-mib", "32",
                              *f.cluster_flags("decode")], stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "SLUICE_CLUSTER_TOKEN": TOKEN})
        stop = threading.Timer(30, p.kill)
        stop.start()
        said = ""
        while "no coordinator's" not in said and (line := p.stderr.readline()):
            said += line
        stop.cancel()
        p.kill()
        p.communicate()
        t.join(30)
    assert heard == [b""], heard
    assert "no coordinator's" in said, said


def test_client_certificates(f):
    flags = ["--tls-cert", f.of("coordinator.pem"), "--tls-key", f.of("coordinator.key"), "--tls-client-ca", f.of("ca.pem")]
    cluster = Cluster(BIN, coordinator_flags=flags, ca=f.of("ca.pem"))
    cluster._tls.load_cert_chain(f.of("client.pem"), f.of("client.key"))
    with cluster as c:
        assert chat(c, "")[0] == 200
        common = ["--url", c.http, "--ca", f.of("ca.pem")]
        assert "ready" in ctl("status", *common, "--cert", f.of("client.pem"), "--key", f.of("client.key"))
        assert "TLS" in ctl("status", *common, fails=True)


def test_revoked_clients_are_refused(f):
    """A list that changes holds for the next connection; nothing is restarted."""
    f.revoke()
    flags = ["--tls-cert", f.of("coordinator.pem"), "--tls-key", f.of("coordinator.key"), "--tls-client-ca", f.of("ca.pem"),
             "--tls-crl", f.of("crl.pem")]
    cluster = Cluster(BIN, coordinator_flags=flags, ca=f.of("ca.pem"))
    cluster._tls.load_cert_chain(f.of("client.pem"), f.of("client.key"))
    with cluster as c:
        mine = ["--url", c.http, "--ca", f.of("ca.pem"), "--cert", f.of("client.pem"), "--key", f.of("client.key")]
        assert "ready" in ctl("status", *mine)
        f.revoke("client.pem")
        eventually("the list is read anew", lambda: "certificates renewed" in c.log("coordinator"))
        assert "TLS" in ctl("status", *mine, fails=True)
        f.make("client")  # the next one
        assert "ready" in ctl("status", *mine)
        f.write("crl.pem", "broken")
        eventually("a broken list is said", lambda: "the old ones stay" in c.log("coordinator"))
        assert "ready" in ctl("status", *mine)
    starts_not("--tls-cert", f.of("coordinator.pem"), "--tls-key", f.of("coordinator.key"), "--tls-crl", f.of("crl.pem"),
               says="--tls-client-ca")


def test_revoked_nodes_do_not_join(f):
    f.revoke()

    def flags(role):
        return [*f.cluster_flags(role), "--cluster-crl", f.of("crl.pem")]
    with Cluster(BIN, coordinator_flags=flags("coordinator"), node_flags=flags) as c:
        assert chat(c, "")[0] == 200
        lost = Path(tempfile.mkdtemp())
        try:
            for file in ("decode.pem", "decode.key"):
                shutil.copy(f.dir / file, lost)
            f.revoke("decode.pem")
            f.make("decode")
            eventually("the list is read anew", lambda: "certificates renewed" in c.log("coordinator"))
            not_joined(c, "", "decode", *f.cluster_flags("decode", of=lost), says="revoked")
            p, log = start_node(c, "decode", *flags("decode"))  # the role's next certificate
            try:
                eventually(f"it joins: {log.read_text()}", lambda: '"extra"' in c.ask("/sluice/v1/nodes")[2])
            finally:
                p.kill()
                p.wait()
            # And the other way: nodes do not believe a coordinator whose certificate was taken back.
            f.revoke("coordinator.pem")
            p, log = start_node(c, "decode", *flags("decode"))
            try:
                eventually(f"it does not register: {log.read_text()}", lambda: "revoked" in log.read_text())
            finally:
                p.kill()
                p.wait()
        finally:
            shutil.rmtree(lost)
            f.make("coordinator")


def test_nodes_pages_over_tls(f):
    """HTTPS, and only for certificates of the cluster's authority; its tools and coordinator read them all the same."""
    import urllib.request

    def page(node, context, path="/metrics"):
        with urllib.request.urlopen(f"https://{node['admin_address']}{path}", timeout=5, context=context) as answer:
            return answer.read().decode()

    def not_read(node, context):
        try:
            page(node, context)
        except OSError:
            return
        raise AssertionError("a page was read")

    for role in ("prefill", "decode"):
        f.make(role)  # with the hosts at which pages are asked for
    trusting = ssl.create_default_context(cafile=f.of("ca.pem"))
    known = ssl.create_default_context(cafile=f.of("ca.pem"))
    known.load_cert_chain(f.of("client.pem"), f.of("client.key"))
    starts = [BIN / "sluice-decode", "--model", MODEL, "--coordinator", "x:1", "--admin-tls", "server"]
    r = subprocess.run(starts, capture_output=True, text=True, timeout=30)
    assert r.returncode == 2 and "--cluster-cert" in r.stderr, r.stderr
    for how, stranger_may in (("server", True), ("mutual", False)):
        with f.cluster(node_flags=["--admin-tls", how]) as c:
            nodes = json.loads(c.ask("/sluice/v1/nodes", key=f.secrets["boss"])[2])["nodes"]
            assert {n["admin_scheme"] for n in nodes} == {"https"}, nodes
            for n in nodes:
                assert "sluice_engine_stalled 0" in page(n, known) and 'plane="pages"' in page(n, known)
                if stranger_may:
                    assert "sluice_build_info" in page(n, trusting)
                else:
                    not_read(n, trusting)
                not_read(n, ssl.create_default_context())  # who does not believe that authority
                try:
                    urllib.request.urlopen(f"http://{n['admin_address']}/metrics", timeout=5)
                    raise AssertionError("a page was read in the clear")
                except OSError:
                    pass
            said = subprocess.run([BIN / "sluicectl", "--url", c.http, "--ca", f.of("ca.pem"), "--cert", f.of("client.pem"),
                                   "--key", f.of("client.key"), "doctor", "--no-canary", "--no-perftest"], capture_output=True,
                                  text=True, timeout=60, env={**os.environ, "SLUICE_API_KEY": f.secrets["boss"]}).stdout
            assert "cannot be read" not in said and "d0" in said, said


SHARED = [test_https_chat_and_tools, test_key_must_be_known, test_models_and_classes_of_a_key,
          test_settings_take_an_administrators_key, test_quota_of_requests_is_exact, test_quota_of_concurrent_requests_is_exact,
          test_quota_of_tokens_is_settled, test_nodes_prove_their_role, test_plain_client_at_the_tls_port,
          test_old_versions_of_tls_are_refused, test_slow_handshakes_delay_nobody, test_renewal_under_load_fails_no_request]
APART = [test_operators_listener_is_apart, test_stranger_at_the_data_port, test_prompts_and_secrets_are_nowhere]
ALONE = [test_open_to_others_takes_a_credential, test_secrets_on_the_command_line_are_refused,
         test_secret_files_must_be_private, test_token_and_certificates_may_both_be_demanded,
         test_a_node_tells_nothing_to_a_false_coordinator, test_client_certificates, test_revoked_clients_are_refused,
         test_revoked_nodes_do_not_join,
         test_nodes_pages_over_tls]


def run(tests, names, *args):
    for t in tests:
        if names and t.__name__ not in names:
            continue
        begun = time.monotonic()
        t(*args)
        print(f"ok {t.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    BIN = a.bin.resolve()
    if not shutil.which("openssl"):
        print("[SKIPPED] openssl is not installed")
        return 77
    f = Files()
    try:
        if not a.names or any(t.__name__ in a.names for t in SHARED):
            with f.cluster() as c:
                run(SHARED, a.names, f, c)
        if not a.names or any(t.__name__ in a.names for t in APART):
            with f.cluster("--admin-listen", "127.0.0.1:0", "--log-level", "debug", env={"SLUICE_CLUSTER_TOKEN": TOKEN},
                           node_flags=["--log-level", "debug"]) as c:
                run(APART, a.names, f, c)
        run(ALONE, a.names, f)
    finally:
        shutil.rmtree(f.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
