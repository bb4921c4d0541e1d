#!/usr/bin/env python3
"""`sluicectl` and several coordinators: `up --coordinators 2` on a real etcd, commands that find one which answers, by --url a,b
and by the run directory, with one killed, one stopped, and none left; and what is refused. Exit 77, which ctest counts as
skipped, where etcd is not installed."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ha_cluster import MODEL, Etcd, free_port, until


class Ctl:
    def __init__(self, bin_dir, run_dir):
        self._program, self.run_dir = bin_dir / "sluicectl", run_dir

    def __call__(self, *args, ok=True):
        """(what it printed, what it complained of, how long it took)"""
        began = time.monotonic()
        r = subprocess.run([self._program, "--run-dir", self.run_dir, *map(str, args)], capture_output=True, text=True, timeout=120)
        assert (r.returncode == 0) == ok, (args, r.returncode, r.stdout, r.stderr)
        return r.stdout, r.stderr, time.monotonic() - began

    def works(self, *args):
        return subprocess.run([self._program, "--run-dir", self.run_dir, *map(str, args)], capture_output=True, timeout=60).returncode == 0

    def state(self):
        return json.loads((self.run_dir / "cluster.json").read_text())

    def pid(self, name):
        (pid,) = [p["pid"] for p in self.state()["processes"] if p["name"] == name]
        return pid


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def run(bin_dir, work):
    ctl = Ctl(bin_dir, work / "run")
    _, why, _ = ctl("up", "--model", MODEL, "--coordinators", 2, ok=False)
    assert "--registry" in why, why
    _, why, _ = ctl("up", "--model", MODEL, "--coordinators", 2, "--registry", "http://127.0.0.1:1", "--port", 0, ok=False)
    assert "etcd://" in why, why
    assert not (work / "run" / "cluster.json").exists(), "nothing of it is left"

    etcd = Etcd(work)
    try:
        said, _, _ = ctl("up", "--model", MODEL, "--coordinators", 2, "--registry", f"etcd://127.0.0.1:{etcd.port}", "--port", 0,
                         "--threads", 1, "--kv-memory-mib", 64, "--state-file", work / "kept", "--detach")
        assert "ready: " in said, said
        state = ctl.state()
        urls = [state["url"], *state["other_urls"]]
        assert len(set(urls)) == 2 and all(u.startswith("http://127.0.0.1:") for u in urls), state
        assert [p["name"] for p in state["processes"]] == ["coordinator-0", "coordinator-1", "prefill-0", "decode-0"], state
        targets = json.loads((ctl.run_dir / "targets.json").read_text())
        assert [t["labels"]["node"] for t in targets][:2] == ["coordinator-0", "coordinator-1"] and len(targets) == 4, targets
        for url in urls:
            nodes, _, _ = ctl("--url", url, "nodes")
            assert "prefill-0" in nodes and "decode-0" in nodes, nodes
        shown, _, _ = ctl("coordinators")
        assert "coordinator-0 (this one)" in shown and "coordinator-1" in shown, shown
        until(lambda: ctl.works("slo", "set", "gold", "--ttft-ms", 321), 10, "settings are shared")
        until(lambda: "321" in ctl("--url", urls[1], "slo", "get")[0], 5, "the other coordinator has it")

        dead, alive = f"http://127.0.0.1:{free_port()}", urls[1]
        shown, _, _ = ctl("--url", f"{dead},{alive}", "coordinators")
        assert "coordinator-1 (this one)" in shown, shown
        shown, _, _ = ctl("--url", f"{alive},{urls[0]}", "coordinators")
        assert "coordinator-1 (this one)" in shown, "the first that is ready is asked"
        _, why, _ = ctl("--url", f"{dead},{dead}", "status", ok=False)
        assert "none of 2 coordinators answers" in why, why
        _, why, _ = ctl("--url", f"{alive},,{dead}", "status", ok=False)
        assert "is not an address" in why, why

        os.kill(ctl.pid("coordinator-0"), signal.SIGSTOP)
        shown, _, took = ctl("coordinators")
        assert "coordinator-1 (this one)" in shown and took < 4, (shown, took)
        os.kill(ctl.pid("coordinator-0"), signal.SIGCONT)

        first = ctl.pid("coordinator-0")
        os.kill(first, signal.SIGKILL)
        until(lambda: gone(first), 5, "coordinator-0 is gone")
        answer, _, _ = ctl("chat", "Hello", "--max-tokens", 8)
        assert answer.strip(), "the run directory knows the other coordinator"
        assert "321" in ctl("slo", "get")[0]
        ctl("bench", "--requests", 4, "--rate", 20)
        _, why, _ = ctl("up", "--model", MODEL, ok=False)
        assert "already running" in why, why
        said, _, _ = ctl("down")
        assert "coordinator-1" in said and "had ended before: coordinator-0" in said, said
        assert sorted(p.name for p in work.glob("kept*")) == ["kept", "kept.1"], list(work.glob("kept*"))
        left = {p.name for p in ctl.run_dir.iterdir()} - {"lock"}
        assert all(n.endswith(".log") for n in left), left
    except BaseException:
        for log in sorted(ctl.run_dir.glob("*.log")):
            print(f"---- {log.name}", *log.read_text(errors="replace").splitlines()[-15:], sep="\n", file=sys.stderr)
        raise
    finally:
        subprocess.run([bin_dir / "sluicectl", "--run-dir", ctl.run_dir, "down", "--timeout-s", "0"], capture_output=True)
        etcd.kill()
    print("several coordinators: started, found, one killed, taken down")


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--bin", type=Path, required=True)
    args = args.parse_args()
    if not shutil.which("etcd"):
        print("[SKIPPED] etcd is missing; `tools/install_deps.sh test` installs it")
        return 77
    work = Path(tempfile.mkdtemp(prefix="sluice-ctl-"))
    try:
        run(args.bin.resolve(), work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
