"""Security tests with processes of their own: what stands open, which files and flags are refused, certificates of clients and
nodes, and lists of those taken back. security_test.py runs them.
"""
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

from cluster import MODEL
from security_cluster import MARKER, TOKEN, chat, cluster, ctl, eventually, not_joined, program, start_node, starts_not


def test_open_to_others_takes_a_credential(f):
    assert "--api-keys" in starts_not("--host", "0.0.0.0", says="--host")
    starts_not("--host", "::", says="--tls-client-ca")
    starts_not("--control-listen", "0.0.0.0:0", says="--cluster-token-file")
    starts_not("--admin-listen", "0.0.0.0:0", says="--admin-listen")
    with cluster(coordinator_flags=["--host", "0.0.0.0", "--insecure-bind"]) as c:
        assert "INSECURE" in c.log("coordinator")
    with cluster(coordinator_flags=["--host", "0.0.0.0", "--control-listen", "0.0.0.0:0"],
                 env={"SLUICE_API_KEY": "k", "SLUICE_CLUSTER_TOKEN": "t"}) as c:
        assert "INSECURE" not in c.log("coordinator")


def test_secrets_on_the_command_line_are_refused(f):
    for flag in ["--api-key", "--cluster-token"]:
        for form in [[flag, MARKER], [f"{flag}={MARKER}"]]:
            assert MARKER not in starts_not(*form, says="command line")
    for role in ["prefill", "decode"]:
        r = subprocess.run([program(f"sluice-{role}"), "--model", MODEL, "--coordinator", "x:1", "--cluster-token", MARKER],
                           capture_output=True, text=True, timeout=30)
        assert r.returncode == 2 and "--cluster-token-file" in r.stderr and MARKER not in r.stderr, r.stderr
    said = ctl("status", "--api-key", MARKER, fails=True)
    assert "--api-key-file" in said and MARKER not in said


def test_secret_files_must_be_private(f):
    for flag, name in [("--api-key-file", "k"), ("--cluster-token-file", "t"), ("--api-keys", "keys2")]:
        path = f.write(name, MARKER + "\n")
        path.chmod(0o644)
        if flag == "--api-keys":
            r = subprocess.run([program("sluice-coordinator"), "--model", MODEL, "--port", "0", flag, path], capture_output=True,
                               text=True, timeout=30)
            assert r.returncode == 1 and "chmod 600" in r.stderr, r.stderr
        else:
            assert MARKER not in starts_not(flag, str(path), says="chmod 600")
    key = f.dir / "coordinator.key"
    key.chmod(0o640)
    os.chown(key, 1000, 1000) if os.getuid() == 0 else key.chmod(0o644)
    r = subprocess.run([program("sluice-coordinator"), "--model", MODEL, "--port", "0", "--tls-cert", f.of("coordinator.pem"),
                        "--tls-key", key], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "chmod 600" in r.stderr, r.stderr
    if os.getuid() == 0:
        os.chown(key, 0, 0)
    key.chmod(0o600)
    config = f.write("config.toml", f'api-key = "{MARKER}"\n')
    config.chmod(0o644)
    assert MARKER not in starts_not("--config", str(config), says="chmod 600")


def test_token_and_certificates_may_both_be_demanded(f):
    with cluster(coordinator_flags=[*f.cluster_flags("coordinator")], node_flags=f.cluster_flags,
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
        p = subprocess.Popen([program("sluice-decode"), "--model", MODEL, "--coordinator",
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
    certified = cluster(coordinator_flags=flags, ca=f.of("ca.pem"))
    certified._tls.load_cert_chain(f.of("client.pem"), f.of("client.key"))
    with certified as c:
        assert chat(c, "")[0] == 200
        common = ["--url", c.http, "--ca", f.of("ca.pem")]
        assert "ready" in ctl("status", *common, "--cert", f.of("client.pem"), "--key", f.of("client.key"))
        assert "TLS" in ctl("status", *common, fails=True)


def test_revoked_clients_are_refused(f):
    """A list that changes holds for the next connection; nothing is restarted."""
    f.revoke()
    flags = ["--tls-cert", f.of("coordinator.pem"), "--tls-key", f.of("coordinator.key"), "--tls-client-ca", f.of("ca.pem"),
             "--tls-crl", f.of("crl.pem")]
    certified = cluster(coordinator_flags=flags, ca=f.of("ca.pem"))
    certified._tls.load_cert_chain(f.of("client.pem"), f.of("client.key"))
    with certified as c:
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
    with cluster(coordinator_flags=flags("coordinator"), node_flags=flags) as c:
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
    starts = [program("sluice-decode"), "--model", MODEL, "--coordinator", "x:1", "--admin-tls", "server"]
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
            said = subprocess.run([program("sluicectl"), "--url", c.http, "--ca", f.of("ca.pem"), "--cert", f.of("client.pem"),
                                   "--key", f.of("client.key"), "doctor", "--no-canary", "--no-perftest"], capture_output=True,
                                  text=True, timeout=60, env={**os.environ, "SLUICE_API_KEY": f.secrets["boss"]}).stdout
            assert "cannot be read" not in said and "d0" in said, said


TESTS = [test_open_to_others_takes_a_credential, test_secrets_on_the_command_line_are_refused,
         test_secret_files_must_be_private, test_token_and_certificates_may_both_be_demanded,
         test_a_node_tells_nothing_to_a_false_coordinator, test_client_certificates, test_revoked_clients_are_refused,
         test_revoked_nodes_do_not_join, test_nodes_pages_over_tls]
