#!/usr/bin/env python3
"""A cluster with TLS, keys and tenants, as real processes with certificates that openssl makes: what works, and what is
refused. Usage: security_test.py --bin DIR [NAME ...]; exits 77 without openssl. docs/security.md names these tests."""
import argparse
import concurrent.futures
import json
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

import security_alone
from security_cluster import MARKER, TOKEN, Files, chat, ctl, eventually, not_joined, refused, use


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


def test_tenants_share_no_kv(f, c):
    words = " ".join(f"word {n}" for n in range(60))

    def cached(key):
        asked = {"messages": [{"role": "user", "content": words}], "sluice": {"mode": "split"}}
        status, _, text = chat(c, f.secrets[key], **asked)
        assert status == 200, text
        return json.loads(text)["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert [cached(key) for key in ("user", "boss")] == [0, 0]
    assert cached("user") > 0


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


SHARED = [test_https_chat_and_tools, test_key_must_be_known, test_models_and_classes_of_a_key,
          test_settings_take_an_administrators_key, test_quota_of_requests_is_exact, test_quota_of_concurrent_requests_is_exact,
          test_quota_of_tokens_is_settled, test_tenants_share_no_kv, test_nodes_prove_their_role, test_plain_client_at_the_tls_port,
          test_old_versions_of_tls_are_refused, test_slow_handshakes_delay_nobody, test_renewal_under_load_fails_no_request]
APART = [test_operators_listener_is_apart, test_stranger_at_the_data_port, test_prompts_and_secrets_are_nowhere]


def run(tests, names, *args):
    for t in tests:
        if names and t.__name__ not in names:
            continue
        begun = time.monotonic()
        t(*args)
        print(f"ok {t.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=Path)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    use(a.bin)
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
        run(security_alone.TESTS, a.names, f)
    finally:
        shutil.rmtree(f.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
