#!/usr/bin/env python3
"""Writes docs/evidence/deflection.md: prompts computed where they are decoded, beside always a prefill node and never one.

The registered scenarios (docs/evidence/deflection.json where prefill nodes bind, and those of perturbations.json) run in the simulator
with the same seeds under three policies. Then a real cluster on this machine is given prompts of the same length split, local and as it decides.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "sluice-tiny"
FREE, SPLIT, LOCAL = "sluice", "sluice-split", "sluice-local"
TOLERANCE, GAIN = 0.03, 1.3


def experiment(seeds: int, goodput_seeds: int) -> tuple:
    """What is run, and the names of the scenarios where prefill binds."""
    known = json.loads((ROOT / "docs/evidence/perturbations.json").read_text())
    own = json.loads((ROOT / "docs/evidence/deflection.json").read_text())
    base = {**known["base"], "local_prefill": True}
    run = {"base": base, "scenarios": own["scenarios"] + known["scenarios"], "policies": [FREE, SPLIT, LOCAL], "seeds": seeds,
           "goodput": {"attainment": 0.9, "seeds": goodput_seeds, "policies": [FREE, SPLIT, LOCAL]}}
    return run, [s["name"] for s in own["scenarios"]]


def simulate(ctl: str, what: dict) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(what, f)
        f.flush()
        out = subprocess.run([ctl, "simulate", "--json", "--experiment", f.name], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def figures(s: dict, policy: str) -> dict:
    p = s["policies"][policy]
    return {"ttft": p["ttft_mean_ms"]["mean"], "met": p["slo_attainment"]["mean"], "local": p["local_share"]["mean"],
            "cut": p["cut_share"]["mean"], "goodput": s.get("goodput_at_attainment", {}).get(policy, 0)}


def judge(result: dict, binding: list) -> tuple:
    rows, worse, gains = [], [], []
    for s in result["scenarios"]:
        free, split, local = (figures(s, p) for p in (FREE, SPLIT, LOCAL))
        over = free["ttft"] / min(split["ttft"], local["ttft"]) - 1
        lost = max(split["met"], local["met"]) - free["met"]
        if over > TOLERANCE or lost > TOLERANCE:
            worse.append(f"{s['name']}: mean TTFT {over:+.1%}, attainment {-lost * 100:+.1f} points")
        gain = free["goodput"] / split["goodput"] if split["goodput"] > 0 else float("inf")
        if s["name"] in binding:
            gains.append(gain)
        rows.append("| {} | {:.0f} / {:.0f} / {:.0f} | {:.1f} / {:.1f} / {:.1f} | {:.2f} / {:.2f} / {:.2f} | {:.0f} + {:.0f} |".format(
            s["name"], free["ttft"], split["ttft"], local["ttft"], free["met"] * 100, split["met"] * 100, local["met"] * 100,
            free["goodput"], split["goodput"], local["goodput"], free["local"] * 100, free["cut"] * 100))
    return rows, worse, gains


class Cluster:
    def __init__(self, bin_dir: pathlib.Path, scratch: str):
        self.ctl, self.run_dir = str(bin_dir / "sluicectl"), ["--run-dir", f"{scratch}/run"]

    def __enter__(self):
        subprocess.run([self.ctl, *self.run_dir, "up", "--model", str(MODEL), "--prefill", "1", "--decode", "1", "--port", "0",
                        "--threads", "1", "--kv-memory-mib", "256", "--detach"], check=True, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        subprocess.run([self.ctl, *self.run_dir, "down"], check=False, stdout=subprocess.DEVNULL)

    def bench(self, mode: str, rate: float, requests: int, seed: int) -> dict:
        out = subprocess.run([self.ctl, *self.run_dir, "--json", "bench", "--requests", str(requests), "--rate", str(rate), "--input-len",
                              "900", "--output-len", "32", "--mode", mode, "--seed", str(seed), "--warmup", "4"], check=True,
                             stdout=subprocess.PIPE)
        return json.loads(out.stdout)

    def verdict(self) -> str:
        out = subprocess.run([self.ctl, *self.run_dir, "--json", "slo", "explain"], check=True, stdout=subprocess.PIPE)
        return json.loads(out.stdout)["pd"]["verdict"]


def find(j, name: str):
    """The first field of this name, at any depth."""
    if isinstance(j, dict) and name in j:
        return j[name]
    parts = j.values() if isinstance(j, dict) else j if isinstance(j, list) else []
    return next((got for got in (find(v, name) for v in parts) if got is not None), None)


def real(bin_dir: pathlib.Path, rounds: int) -> list:
    rates = (2, 6)
    rows = ["| requests per s | split: TTFT ms, TPOT ms | local | as decided |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch, Cluster(bin_dir, scratch) as c:
        for rate in rates:
            cells = []
            for k, mode in enumerate(("split", "colocated", "auto")):
                ttft, tpot = [], []
                for i in range(rounds):
                    # Prompts of their own: one that came before need not be computed again.
                    j = c.bench(mode, rate, 30, 1000 * rate + 100 * k + i)
                    ttft.append(find(j, "mean_ttft_ms"))
                    tpot.append(find(j, "mean_tpot_ms"))
                cells.append(f"{statistics.median(ttft):.0f}, {statistics.median(tpot):.1f}")
            rows.append(f"| {rate} | " + " | ".join(cells) + " |")
        rows += ["", f"`sluicectl slo explain` says then: {c.verdict()}."]
    return rows


def page(result: dict, binding: list, seeds: int, goodput_seeds: int, real_rows: list) -> str:
    rows, worse, gains = judge(result, binding)
    least = min(gains) if gains else 0
    said = "met" if not worse else "missed in {} of {} scenarios".format(len(worse), len(result["scenarios"]))
    lines = [
        "# Prompts computed where they are decoded", "",
        "Made by `python3 tools/deflection_report.py --bin build/bin`. Simulated: Llama-3.1-8B on H100 nodes, 2 prefill and 2 decode nodes",
        "unless a scenario says otherwise; the daemons' own policy and scheduler decide. The scenarios were registered before the first run:",
        "[deflection.json](deflection.json) where prefill nodes bind, [perturbations.json](perturbations.json) the rest.", "",
        "Three policies, on the same requests: **free** decides for each prompt where it is computed, **split** gives every prompt to a",
        "prefill node, **local** every prompt to the node that decodes it. Goodput is the highest rate at which 90% of the requests meet",
        f"both objectives, from an eighth to three times the registered rate. {seeds} seeds, goodput {goodput_seeds}.", "", "## Verdict", "",
        f"- Never worse than the better of split and local by more than 3% in mean TTFT or 3 points of attainment: **{said}**.",
        *[f"  - {w}" for w in worse],
        f"- At least 1.3 times the goodput of split where prefill nodes bind: **{'met' if least >= GAIN else 'missed'}**, "
        + ", ".join(f"{g:.2f}x" if math.isfinite(g) else "split reaches 90% at no rate tried" for g in gains) + ".", "",
        "| scenario | mean TTFT ms: free / split / local | both objectives met %: free / split / local | goodput /s: free / split / local | "
        "computed locally %: whole + from a cut on |", "|---|---|---|---|---|", *rows, ""]
    if real_rows:
        lines += ["## A real cluster", "",
                  f"The bundled model on this machine ({os.cpu_count()} cores for three daemons and the load), one prefill and one decode node on a",
                  "thread each, prompts of 900 tokens, answers of 32. Both nodes share what the machine has, so this shows that the choice is",
                  "made and what it costs here, not what separate machines would gain.", "", *real_rows, ""]
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/bin", help="directory of the programs")
    p.add_argument("--seeds", type=int, default=10)
    p.add_argument("--goodput-seeds", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3, help="of the real cluster; 0: leave it out")
    p.add_argument("--result", help="keep the simulator's result here, or read it when it is there")
    p.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/evidence/deflection.md")
    a = p.parse_args()
    what, binding = experiment(a.seeds, a.goodput_seeds)
    kept = pathlib.Path(a.result) if a.result else None
    result = json.loads(kept.read_text()) if kept and kept.exists() else simulate(str(a.bin / "sluicectl"), what)
    if kept and not kept.exists():
        kept.write_text(json.dumps(result))
    a.out.write_text(page(result, binding, a.seeds, a.goodput_seeds, real(a.bin.resolve(), a.rounds) if a.rounds else []))


if __name__ == "__main__":
    main()
