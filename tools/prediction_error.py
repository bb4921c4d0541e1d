#!/usr/bin/env python3
"""How far predicted TTFT is from what requests took, on real clusters of the bundled model.

Usage: tools/prediction_error.py [--bin build/bin] [--shapes 1P1D,2P1D,2P2D] [--seconds S] [--rate R] [--profile NAME] [--goal SHARE]
                                 [--log FILE] [--from FILE] [--report]

For each shape a cluster is started, fresh, and given a steady Poisson load of prompts of four lengths through HTTP. The
coordinator's own account of every request (/sluice/v1/decisions) says what was predicted when it was placed and what
it took. Reported: the median of |predicted - measured| / measured by quarter of the run and by prompt length. Steady
state is what comes after the first quarter. Beside it, the floor: the same for the best constant per prompt length,
known only in hindsight, which no predictor beats that knows the length and not what else the machine does. The profile is
the controller's choice, request by request. --log keeps the decisions, a line of JSON each, and --from reads
such a file instead of running; --report writes
docs/evidence/prediction_error.md and its figure. Fails when a shape's steady-state median is over the goal.
"""
import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
from statistics import median

from report import ROOT, table
from shaped_link_report import COLOURS, cpu

MODEL = ROOT / "models" / "sluice-tiny"
LENGTHS = [128, 512, 1024, 1900]  # prompt tokens, equally likely
QUARTERS = 4


def poisson(seconds: float, rate: float, seed: int) -> list:
    rng = random.Random(seed)
    at, load = 0.0, []
    while at < seconds:
        load.append({"timestamp": at * 1000, "input_length": rng.choice(LENGTHS), "output_length": rng.randint(8, 48)})
        at += rng.expovariate(rate)
    return load


def serve(args, shape: str) -> list:
    """Decisions of a fresh cluster's requests, in the order of their arrival."""
    ctl = str(pathlib.Path(args.bin).resolve() / "sluicectl")
    prefill, decode = shape.upper().rstrip("D").split("P")
    with tempfile.TemporaryDirectory(prefix="sluice-prediction-") as d:
        common = ["--run-dir", f"{d}/run"]
        trace = pathlib.Path(d) / "trace.jsonl"
        load = poisson(args.seconds, args.rate, args.seed)
        trace.write_text("".join(json.dumps(q) + "\n" for q in load))
        run = lambda *a: subprocess.run([ctl, *a], check=True, stdout=subprocess.PIPE, text=True).stdout
        run("up", *common, "--model", str(MODEL), "--prefill", prefill, "--decode", decode, "--port", "0", "--threads", "1", "--local-prefill", "off",
            "--detach")
        try:
            pin = ["--profile", args.profile] if args.profile else []
            got = json.loads(run("bench", *common, "--json", "--mode", "split", *pin, "--trace", str(trace), "--requests", str(len(load)),
                                 "--seed", str(args.seed)))
            if got.get("failed", 0):
                raise SystemExit(f"requests failed: {got}")
            log = json.loads(run("decisions", *common, "--json", "--limit", "1000"))["decisions"]
        finally:
            subprocess.run([ctl, "down", *common], check=False, stdout=subprocess.DEVNULL)
    log = [x for x in log if x.get("predicted_ttft_ms") and x.get("ttft_ms") and not x["resumes"]]
    if len(log) < 0.9 * min(len(load), 1000):
        raise SystemExit(f"{len(load)} requests were sent, but {len(log)} decisions tell a predicted and a measured TTFT")
    return sorted(log, key=arrival)


def arrival(x: dict) -> float:
    return x["time"] - (x["ttft_ms"] + (x["tpot_ms"] or 0) * (x["output_tokens"] - 1)) * 1e-3


def error(x: dict) -> float:
    return abs(x["predicted_ttft_ms"] / x["ttft_ms"] - 1)


def best_constant(times: list) -> float:
    """Of all constants the one whose median relative error is least: the middle of the densest half, by ratio."""
    t = sorted(times)
    half = len(t) // 2 + 1
    low, high = min(((t[i], t[i + half - 1]) for i in range(len(t) - half + 1)), key=lambda b: b[1] / b[0])
    return 2 * low * high / (low + high)


class Shape:
    def __init__(self, name: str, log: list):
        self.name, self.log = name, log
        start, end = arrival(log[0]), arrival(log[-1])
        part = lambda x: min(QUARTERS - 1, int(QUARTERS * (arrival(x) - start) / (end - start)))
        self.quarters = [[x for x in log if part(x) == q] for q in range(QUARTERS)]
        self.steady = [x for q in self.quarters[1:] for x in q]
        self.length = lambda n: [x for x in self.steady if x["prompt_tokens"] == n]
        self.lengths = sorted({x["prompt_tokens"] for x in self.steady})
        self.constant = {n: best_constant([x["ttft_ms"] for x in self.length(n)]) for n in self.lengths}

    def floor(self, log: list) -> float:
        return median(abs(self.constant[x["prompt_tokens"]] / x["ttft_ms"] - 1) for x in log)

    def stages(self, log: list) -> dict:
        """Medians of predicted and measured stages, for whoever looks for what is wrong."""
        of = lambda kind, n: median(x[kind].get(n, 0) for x in log)
        return {n: (of("predicted_stages_ms", n), of("stages_ms", n)) for n in ("queue", "prefill", "encode", "wire", "decode", "first_step", "exposed")}


def percent(x: float) -> str:
    return f"{100 * x:.1f}"


def by_quarter(shapes: list) -> str:
    rows = [[s.name, str(len(s.log))] + [percent(median(map(error, q))) for q in s.quarters] +
            [f"**{percent(median(map(error, s.steady)))}**", percent(s.floor(s.steady))] for s in shapes]
    return table(["cluster", "requests"] + [f"quarter {q + 1}" for q in range(QUARTERS)] + ["steady state", "best constants"], rows)


def by_length(shapes: list) -> str:
    rows = []
    for s in shapes:
        for n in s.lengths:
            log = s.length(n)
            bias = median(x["predicted_ttft_ms"] / x["ttft_ms"] for x in log) - 1
            rows.append([s.name, str(n), f"{median(x['ttft_ms'] for x in log):.2f}", percent(median(map(error, log))), f"{100 * bias:+.1f}", percent(s.floor(log))])
    return table(["cluster", "prompt tokens", "median TTFT, ms", "error %", "signed error %", "best constant %"], rows)


def figure(shapes: list) -> str:
    """Every request's error over time, as a dot by prompt length, with a running median."""
    w, height, left, most = 900, 150, 60, 0.5
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{(height + 50) * len(shapes) + 30}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for i, s in enumerate(shapes):
        top, start, end = 30 + i * (height + 50), arrival(s.log[0]), arrival(s.log[-1])
        x = lambda t: left + (t - start) / (end - start) * (w - left - 20)
        y = lambda e: top + height / 2 * (1 - max(-1, min(1, e / most)))
        out.append(f'<text x="{left}" y="{top - 8}">{s.name}: predicted over measured TTFT - 1; black: running median of its size</text>')
        for e in (-0.5, -0.1, 0, 0.1, 0.5):
            out.append(f'<line x1="{left}" x2="{w - 20}" y1="{y(e):.1f}" y2="{y(e):.1f}" stroke="{"#bbb" if e else "#555"}"/>'
                       f'<text x="{left - 6}" y="{y(e) + 4:.1f}" text-anchor="end">{e:+.0%}</text>')
        for q in s.log:
            out.append(f'<circle cx="{x(arrival(q)):.1f}" cy="{y(q["predicted_ttft_ms"] / q["ttft_ms"] - 1):.1f}" r="2" '
                       f'fill="{COLOURS[s.lengths.index(q["prompt_tokens"]) if q["prompt_tokens"] in s.lengths else -1]}"/>')
        ran = [(x(arrival(q)), y(median(map(error, s.log[max(0, k - 24):k + 1])))) for k, q in enumerate(s.log) if k >= 8]
        out.append('<polyline fill="none" stroke="black" stroke-width="1.5" points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in ran) + '"/>')
    bottom = (height + 50) * len(shapes) + 15
    for k, n in enumerate(LENGTHS):
        out.append(f'<text x="{left + 120 * k}" y="{bottom}" fill="{COLOURS[k]}">{n} tokens</text>')
    return "\n".join(out) + "\n</svg>\n"


PAGE = """# Predicted TTFT beside what requests took

Made by `tools/prediction_error.py{options} --report` ({seconds:g} s a cluster) on {machine}: real processes on `models/sluice-tiny`,
one thread a node, all on this one machine; Poisson arrivals at {rate:g} per second, prompts of {lengths} tokens in equal shares, answers of 8 to 48;
the controller chooses node and profile. Each cluster starts fresh. The goal is a median absolute error of at most {goal:.0%} in steady state: {verdict}.

![every request's error over time](prediction_error.svg)

Median |predicted - measured| / measured, in percent. *Steady state*: after the first quarter. *Best constants*: for each prompt length the constant
that would have been best in hindsight; what is left then is queueing and the machine's own noise, of which a prediction knows the first.

{quarters}
By prompt length, in steady state:

{classes}"""


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default="build/bin")
    p.add_argument("--shapes", default="1P1D,2P1D,2P2D")
    p.add_argument("--seconds", type=float, default=40, help="of load, for each shape")
    p.add_argument("--rate", type=float, default=8.0, help="requests per second")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--profile", default="", help="pin this one")
    p.add_argument("--goal", type=float, default=0.10)
    p.add_argument("--log", type=pathlib.Path, help="keep the decisions here")
    p.add_argument("--from", dest="kept", type=pathlib.Path, help="what --log kept, instead of running")
    p.add_argument("--report", action="store_true")
    args = p.parse_args()
    kept = [json.loads(l) for l in args.kept.read_text().splitlines()] if args.kept else []
    shapes = [Shape(n, [x for x in kept if x["shape"] == n] or serve(args, n)) for n in args.shapes.split(",")]
    if args.log:
        args.log.write_text("".join(json.dumps({"shape": s.name} | x) + "\n" for s in shapes for x in s.log))
    print(by_quarter(shapes) + "\n" + by_length(shapes))
    for s in shapes:
        for n in s.lengths:
            print(s.name, n, " ".join(f"{k} {a:.2f}/{b:.2f}" for k, (a, b) in s.stages(s.length(n)).items()), "(predicted/measured, ms)")
    over = [s.name for s in shapes if median(map(error, s.steady)) > args.goal]
    if args.report:
        out = ROOT / "docs/evidence"
        options = "".join(f" --{k} {getattr(args, k)}" for k in ("shapes", "seconds", "rate", "seed", "profile") if getattr(args, k) != p.get_default(k))
        (out / "prediction_error.svg").write_text(figure(shapes))
        (out / "prediction_error.md").write_text(PAGE.format(
            options=options, seconds=args.seconds, machine=cpu(), rate=args.rate, lengths=", ".join(map(str, LENGTHS)), goal=args.goal,
            verdict="met" if not over else "**missed** by " + ", ".join(over), quarters=by_quarter(shapes), classes=by_length(shapes)))
    if over:
        sys.exit(f"over {args.goal:.0%}: {', '.join(over)}")


if __name__ == "__main__":
    main()
