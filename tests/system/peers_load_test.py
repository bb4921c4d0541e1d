#!/usr/bin/env python3
"""The load tools that others use, against the same cluster under the same load as `sluicectl bench`: the medians of TTFT and
TPOT must agree. The same prompts from a file, the same length of answers, as many at once.

`make peers-load` installs the tools (some gigabytes) and runs this; without them it says so and exits 77, which counts as
skipped. The tools take turns, round after round, so that what else the machine does meets all of them; compared are medians
over rounds. Where there are cores enough, the cluster has some and the tools others: a tool that takes the server's time
measures itself.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import MODEL, Cluster

FIGURES = ("ttft_ms", "tpot_ms", "e2el_ms", "output_throughput")
WORDS = ("the house of king stood by river and people said that in old days there was a light on stone water road "
         "city name world year sea land tree fire time way hand night").split()


def share_cores():
    """The cluster's cores and the tools'."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return (set(cores[:half]), set(cores[half:])) if half else (set(cores), set(cores))


def run(command, cores, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=400,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores), **more)


def prompts(n, words):
    rng = random.Random(7)
    return [f"Question {i}: " + " ".join(rng.choice(WORDS) for _ in range(words)) for i in range(n)]


def own(o, url, scratch):
    out = run([o.bin / "sluicectl", "--url", url, "--json", "bench", "--endpoint", o.endpoint, "--dataset", "file", "--dataset-file",
               scratch / "own.jsonl", "--requests", str(o.requests), "--concurrency", str(o.concurrency), "--output-len", str(o.output),
               "--ignore-eos", "yes", "--no-explain", "--warmup", "4"], o.tool_cores)
    if out.returncode:
        raise RuntimeError(out.stderr)
    r = json.loads(out.stdout)
    if r["failed"]:
        raise RuntimeError(r["first_error"])
    return {"ttft_ms": r["median_ttft_ms"], "tpot_ms": r["median_tpot_ms"], "e2el_ms": r["median_e2el_ms"],
            "output_throughput": r["output_throughput"], "cpu_us": r["client_cpu_us_per_token"]}


def aiperf(o, url, scratch):
    folder = scratch / "aiperf"
    out = run(
        [o.venv / "bin/aiperf", "profile", "-m", "sluice-tiny", "--tokenizer", MODEL, "--url", url, "--endpoint-type", o.endpoint,
         "--streaming", "--input-file", scratch / "aiperf.jsonl", "--custom-dataset-type", "single_turn", "--request-count",
         str(o.requests), "--concurrency", str(o.concurrency), "--warmup-request-count", "4", "--output-tokens-mean", str(o.output),
         "--use-legacy-max-tokens", "--extra-inputs", "ignore_eos:true", "--extra-inputs", "temperature:0",
         "--use-server-token-count", "--ui", "none", "--artifact-dir", folder],
        o.tool_cores, env={**os.environ, "NO_COLOR": "1"})
    found = sorted(folder.rglob("profile_export_aiperf.json"))
    if out.returncode or not found:
        raise RuntimeError(f"aiperf: status {out.returncode}\n{out.stdout[-3000:]}\n{out.stderr[-3000:]}")
    r = json.loads(found[-1].read_text())
    if r["request_count"]["avg"] != o.requests:
        raise RuntimeError(f"aiperf completed {r['request_count']} of {o.requests}")
    return {"ttft_ms": r["time_to_first_token"]["p50"], "tpot_ms": r["inter_token_latency"]["p50"],
            "e2el_ms": r["request_latency"]["p50"], "output_throughput": r["output_token_throughput"]["avg"]}


def version(o, package):
    out = subprocess.run([o.venv / "bin/python", "-c", f"from importlib.metadata import version; print(version('{package}'))"],
                         capture_output=True, text=True)
    return out.stdout.strip()


def compare(o, url, scratch):
    """Medians over rounds, by tool."""
    lines = prompts(o.requests, o.words)
    (scratch / "own.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in lines))
    (scratch / "aiperf.jsonl").write_text("".join(json.dumps({"text": p}) + "\n" for p in lines))
    tools = {"sluicectl bench": own, "aiperf": aiperf}
    rounds = {name: [] for name in tools}
    for i in range(o.rounds):
        for name, measure in (list(tools.items()) if i % 2 == 0 else list(tools.items())[::-1]):
            rounds[name].append(measure(o, url, scratch))
            print(f"round {i + 1}: {name}: " + ", ".join(f"{k} {v:.3g}" for k, v in rounds[name][-1].items()), flush=True)
    return {name: {k: statistics.median(r[k] for r in rs) for k in rs[0]} for name, rs in rounds.items()}


def table(results):
    a, b = results["sluicectl bench"], results["aiperf"]
    rows = ["| median over rounds | `sluicectl bench` | `aiperf` | apart |", "|---|---:|---:|---:|"]
    for k, what in zip(FIGURES, ("TTFT p50, ms", "TPOT p50, ms", "end to end p50, ms", "output tokens/s")):
        rows.append(f"| {what} | {a[k]:.4g} | {b[k]:.4g} | {100 * abs(a[k] - b[k]) / a[k]:.1f}% |")
    return "\n".join(rows)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--venv", type=Path, required=True)
    p.add_argument("--bin", type=Path, required=True)
    p.add_argument("--endpoint", default="completions", choices=("completions", "chat"))
    p.add_argument("--requests", type=int, default=24)
    p.add_argument("--concurrency", type=int, default=1)
    p.add_argument("--words", type=int, default=2600)
    p.add_argument("--output", type=int, default=128)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--within", type=float, default=0.10, help="share that medians of TTFT and TPOT may be apart")
    p.add_argument("--no-verdict", action="store_true", help="both must work; a busy machine says nothing about agreement")
    p.add_argument("--out", type=Path, help="write the table there")
    o = p.parse_args()
    if not (o.venv / "bin/aiperf").exists():
        print(f"[SKIPPED] {o.venv}/bin/aiperf is missing; `make peers-load` installs it")
        return 77
    cluster_cores, o.tool_cores = share_cores()
    os.sched_setaffinity(0, cluster_cores)
    with tempfile.TemporaryDirectory() as folder, Cluster(o.bin) as cluster:
        results = compare(o, cluster.http, Path(folder))
    text = table(results)
    print(f"\naiperf {version(o, 'aiperf')}; {o.endpoint}, {o.requests} requests, {o.concurrency} at once, {o.words} words, "
          f"{o.output} tokens, {o.rounds} rounds\n{text}")
    if o.out:
        o.out.write_text(text + "\n")
    a, b = results["sluicectl bench"], results["aiperf"]
    apart = {k: abs(a[k] - b[k]) / a[k] for k in ("ttft_ms", "tpot_ms")}
    if max(apart.values()) > o.within and not o.no_verdict:
        print(f"the tools do not agree within {o.within:.0%}: {apart}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
