#!/usr/bin/env python3
"""Runs the registered experiment (docs/evidence/perturbations.json) and writes docs/evidence/controller.md.

Usage: tools/controller_evidence.py [--bin build/bin] [--result FILE]
--result takes the JSON of an earlier `sluicectl simulate --experiment ... --json` instead of running again.
"""
import argparse
import json
import math
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = ["sluice", "sluice-quality", "sluice-fast", "sluice-keep", "break-even", "kvserve", "kvserve-alone", "ucb1"]
STEADY = "steady"
MOST_LOAD = 3  # coordinator/sim/goodput.h


def run(bin_dir: str) -> dict:
    command = [f"{bin_dir}/sluicectl", "simulate", "--json", "--experiment", "docs/evidence/perturbations.json"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def value(x: dict, scale: float = 1, digits: int = 1) -> str:
    return f"{x['mean'] * scale:.{digits}f} ± {x['ci95'] * scale:.{digits}f}"


def statics(s: dict) -> dict:
    return {n: p for n, p in s["policies"].items() if n.startswith("static:")}


def best_static(s: dict) -> str:
    return min(statics(s), key=lambda n: s["policies"][n]["ttft_mean_ms"]["mean"])


def scenario_table(s: dict) -> list[str]:
    best = best_static(s)
    rows = ["| policy | mean TTFT ms | p99 TTFT ms | SLO met % | in time /s | over best static % | regret to oracle % |",
            "|---|---|---|---|---|---|---|"]
    for n in POLICIES + sorted(statics(s)):
        p = s["policies"][n]
        label = f"{n} (best static)" if n == best else n
        rows.append(f"| {label} | {value(p['ttft_mean_ms'])} | {value(p['ttft_p99_ms'])} | {value(p['slo_attainment'], 100)} | "
                    f"{value(p['goodput_per_s'], 1, 2)} | {value(p['over_best_static'], 100)} | {value(p['regret_to_oracle'], 100)} |")
    return rows


def geometric(values: list[float]) -> float:
    return math.exp(sum(math.log(max(v, 1e-9)) for v in values) / len(values))


def verdict(result: dict) -> list[str]:
    steady = [s for s in result["scenarios"] if s["name"].startswith(STEADY)]
    perturbed = [s for s in result["scenarios"] if not s["name"].startswith(STEADY)]
    own = lambda s, key: s["policies"]["sluice"][key]["mean"]
    ratio = geometric([own(s, "goodput_per_s") / max(s["policies"]["kvserve"]["goodput_per_s"]["mean"], 1e-9) for s in perturbed])
    worst_steady = max(steady, key=lambda s: own(s, "regret_to_oracle"))
    worst = max(perturbed, key=lambda s: own(s, "regret_to_oracle"))
    mean = sum(own(s, "regret_to_oracle") for s in perturbed) / len(perturbed)
    alone = geometric([own(s, "goodput_per_s") / max(s["policies"]["kvserve-alone"]["goodput_per_s"]["mean"], 1e-9) for s in perturbed])
    ceiling = [geometric([1 / max(s["policies"][k]["slo_attainment"]["mean"], 1e-9) for s in perturbed]) for k in ("kvserve", "kvserve-alone")]
    carried = lambda k: geometric([s["goodput_at_attainment"]["sluice"] / max(s["goodput_at_attainment"][k], 1e-9) for s in perturbed])
    over = max(result["scenarios"], key=lambda s: own(s, "over_best_static"))
    ok = lambda b: "met" if b else "**missed**"
    return ["| goal | found | |", "|---|---|---|",
            f"| regret to the per-interval oracle at most 5% when steady | at most {own(worst_steady, 'regret_to_oracle') * 100:.1f}% "
            f"({worst_steady['name']}) | {ok(own(worst_steady, 'regret_to_oracle') <= 0.05)} |",
            f"| at most 15% across the perturbed | mean {mean * 100:.1f}%, worst {own(worst, 'regret_to_oracle') * 100:.1f}% ({worst['name']}) | "
            f"{ok(own(worst, 'regret_to_oracle') <= 0.15)} |",
            f"| never more than 3% over the best static in hindsight | at most {own(over, 'over_best_static') * 100:.1f}% ({over['name']}) | "
            f"{ok(own(over, 'over_best_static') <= 0.03)} |",
            f"| at least 1.2x the goodput of KVServe's policy over the perturbed, geometric mean: highest rate at which {100 * result['goodput_attainment']:.0f}% "
            f"meet both objectives | {carried('kvserve'):.3f}x against its profile choice with Sluice's placement, {carried('kvserve-alone'):.3f}x against the same "
            f"with its own | {ok(carried('kvserve') >= 1.2)} |",
            f"| the same in requests in time per second at the registered rate | {ratio:.3f}x and {alone:.3f}x; were every request in time, "
            f"{ceiling[0]:.3f}x and {ceiling[1]:.3f}x | {ok(ratio >= 1.2)} |"]


def oracle_bias(result: dict) -> str:
    own = [s["policies"][best_static(s)]["regret_to_oracle"]["mean"] * 100 for s in result["scenarios"] if s["name"].startswith(STEADY)]
    return (f"The oracle takes the least of several noisy runs in every interval, so that even the best static profile has a regret of "
            f"{min(own):.0f} to {max(own):.0f}% to it when nothing changes: most of each policy's regret in the steady scenarios is this bias.")


def goodput_table(result: dict) -> list[str]:
    names = list(result["scenarios"][0]["goodput_at_attainment"])
    rows = ["| scenario | " + " | ".join(names) + " | over kvserve |", "|---|" + "---|" * (len(names) + 1)]
    for s in result["scenarios"]:
        g = s["goodput_at_attainment"]
        rows.append(f"| {s['name']} | " + " | ".join(f"{g[n]:.2f}" for n in names) + f" | {g['sluice'] / max(g['kvserve'], 1e-9):.2f}x |")
    return rows


def quality_first(result: dict) -> list[str]:
    """What the default objective spends beside the objective latency, under which everything else here runs."""
    rows = ["| scenario | SLO met %, latency | quality | difference | KL spent, latency | quality | share |", "|---|---|---|---|---|---|---|"]
    differences, spent = [], [0.0, 0.0]
    for s in result["scenarios"]:
        a, b = (s["policies"][n] for n in ("sluice", "sluice-quality"))
        met = [p["slo_attainment"]["mean"] * 100 for p in (a, b)]
        kl = [p["kl_mean"]["mean"] for p in (a, b)]
        differences.append((met[1] - met[0], s["name"]))
        spent = [x + y for x, y in zip(spent, kl)]
        rows.append(f"| {s['name']} | {met[0]:.2f} | {met[1]:.2f} | {met[1] - met[0]:+.2f} | {kl[0]:.4f} | {kl[1]:.4f} | {kl[1] / max(kl[0], 1e-9):.2f} |")
    shares = [float(r.split("|")[-2]) for r in rows[2:]]
    worse = [n for d, n in differences if d < -0.5]
    g = [s["goodput_at_attainment"] for s in result["scenarios"] if not s["name"].startswith(STEADY)]
    over = geometric([x["sluice-quality"] / max(x["kvserve"], 1e-9) for x in g])
    head = [f"Goals: at most 0.5 points of attainment below `latency`, with at most 0.3 times the KL. Found: {len(differences) - len(worse)} of {len(differences)} "
            f"scenarios within 0.5 points, the worst {min(differences)[0]:+.2f} ({min(differences)[1]}); the share of KL is {sum(shares) / len(shares):.2f} in the mean over "
            f"scenarios, {spent[1] / spent[0]:.2f} of all together. Where a link is slow for long, quality is needed and spent by both. Goodput over KVServe's "
            f"profile choice, geometric mean over the perturbed: {over:.3f}x.", ""]
    return head + rows


def losses(result: dict) -> list[str]:
    """Every scenario and comparator with a mean TTFT lower by more than 3% or the intervals, or a goodput higher by more than 1%."""
    out = []
    for s in result["scenarios"]:
        own = s["policies"]["sluice"]
        for n, p in s["policies"].items():
            if n == "sluice":
                continue
            t, u = own["ttft_mean_ms"], p["ttft_mean_ms"]
            if t["mean"] - t["ci95"] > u["mean"] + u["ci95"]:
                out.append(f"- {s['name']}: `{n}` has the lower mean TTFT, {value(u)} against {value(t)} ms.")
            elif t["mean"] > u["mean"] * 1.03:
                out.append(f"- {s['name']}: `{n}` has the lower mean TTFT by {100 * (t['mean'] / u['mean'] - 1):.1f}%, within the intervals.")
            g, h = own["goodput_per_s"], p["goodput_per_s"]
            if g["mean"] < h["mean"] * 0.99:
                out.append(f"- {s['name']}: `{n}` has more requests in time, {value(h, 1, 2)} against {value(g, 1, 2)} per second.")
        g = s["goodput_at_attainment"]
        out += [f"- {s['name']}: `{n}` carries more load at the attainment target, {g[n]:.2f} against {g['sluice']:.2f} requests per second."
                for n in g if g[n] > 1.02 * g["sluice"]]
    return out or ["- In no registered scenario by more than 3% in mean TTFT, 1% in requests in time or 2% in goodput."]


HEAD = """# The controller against comparators

Regenerate with `tools/controller_evidence.py` (it runs `sluicectl simulate --experiment docs/evidence/perturbations.json` and writes this
page). Scenarios, goals and the first comparators were committed before the first run, and what was added later before its own
(`about` in the file says what, and notes below why). All of it is simulation: the placement,
controller and batch scheduler are the daemons' code; computation, codecs and links are models (`coordinator/sim`).

- Hardware model: H100 roofline (50% of peak arithmetic, 70% of memory bandwidth, 4 ms a pass), Llama-3.1-8B.
- Codec speeds: KVServe's published profiles on an H100 (arXiv 2605.13734); int8 and int4 KVShuttle's on an A100. Their KLs are assumed,
  below the scenarios' budget: the budget excludes nothing here.
- Comparators choose the profile by their rule and leave the pair of nodes to Sluice's placement and learned latency model, so what is
  compared is the choice of profile. `kvserve` follows its description: sum of stages, epsilon-greedy (0.05), EWMA residual (0.3), rest after three
  misses. `break-even` is its threshold B* = (1 - 1/r) S. `static:*` are all profiles within the budget; the best static is known in hindsight only.
- The oracle takes, in each 5 s interval, the static profile that was best in it. Refused requests count as 30 s.
- Everything but the section *quality first* runs under the objective `latency`: the fastest profile within the budget, which is what the
  comparators look for. `sluice-quality` is the default: the least lossy profile that meets the objectives.
- {seeds} seeds; ± is the 95% confidence interval of the mean over seeds.

## Goals

"""


NOTES = """How these figures came about, since the scenarios have been seen by now. First run: mean regret over the perturbed 79%; with
what the residual may blame on a profile bounded, 52%. What was wrong was found by looking at single requests, and lay elsewhere:
prefill computed prompts side by side, so that a prompt's end depended on whoever came later (in order, TTFT fell by a third for every
policy and the median prediction error from 26% to 3%); links were accounted in seconds at the bandwidth of the moment; a pair that
one stuck link had made slow was avoided for minutes; simulated nodes told a backlog once and never again; and a candidate did not
pay for what it left on a link. Scenarios, base and seeds are as registered; the simulator's decoder changed with them (chunks of all
links in order). Links were first come, first served until the prefill node let requests take turns before the encoder; since then
they are shared evenly, here too. Then two scenarios still cost more than 3% over the best static profile. In one, requests that a fast
link carried uncompressed were on it when it collapsed: senders now change to a tighter profile in mid-transfer (`sluice-keep` is the
policy without that). In the other, a few seeds with three times the mean TTFT: the batch scheduler gave every prompt that had waited
for 16 passes one pass in turn, so that a long queue of equals was served side by side; it serves them in order now, for every policy.
`sluice-fast` (ties go to the fastest, `--tie-share 0`) and `kvserve-alone` (KVServe's profile choice on the least loaded
nodes, without Sluice's placement and latency model) were added after the second run. 40 seeds instead of 10, and goodput as the highest
rate that meets the objectives, were added when the registered intervals proved wider than the goals, and requests in time could not
differ by the factor asked for even if none were late.

`break-even` does well because with overlap a codec's speed hardly ever shows: the highest ratio is nearly always right on a slow link
and costs little on a fast one. It takes the worst quality that the budget allows at every speed; `sluice` gives quality away only where
that buys more than 1% of time (`sluice-fast` beside it does not)."""


def main() -> None:
    args = argparse.ArgumentParser()
    args.add_argument("--bin", default="build/bin")
    args.add_argument("--result")
    o = args.parse_args()
    result = json.loads(pathlib.Path(o.result).read_text()) if o.result else run(o.bin)
    lines = [HEAD.format(seeds=result["seeds"])] + verdict(result) + ["", oracle_bias(result)]
    lines += ["", "## Where the learned policy loses", ""] + losses(result) + ["", NOTES]
    lines += ["", "## Quality first", ""] + quality_first(result)
    lines += ["", "## Mean TTFT by bandwidth, steady", "",
              "| Gb/s | sluice | kvserve | break-even | best static | raw |", "|---|---|---|---|---|---|"]
    for s in result["scenarios"]:
        if s["name"].startswith(STEADY):
            p, best = s["policies"], best_static(s)
            cells = [value(p[n]["ttft_mean_ms"]) for n in ("sluice", "kvserve", "break-even")]
            lines.append(f"| {s['name'].split(',')[1].strip()} | " + " | ".join(cells) +
                         f" | {value(p[best]['ttft_mean_ms'])} ({best[7:]}) | {value(p['static:raw']['ttft_mean_ms'])} |")
    lines += ["", "## Goodput", "", f"Requests per second at which {100 * result['goodput_attainment']:.0f}% still meet both objectives, found by bisection to 1.3%; "
              f"at most {MOST_LOAD:g} times the registered rate is tried. A scenario lasts as long at every rate.", ""] + goodput_table(result)
    lines += ["", "## Every scenario", ""]
    for s in result["scenarios"]:
        lines += [f"### {s['name']}", ""] + scenario_table(s) + [""]
    (ROOT / "docs/evidence/controller.md").write_text("\n".join(lines).rstrip().replace("\n\n\n", "\n\n") + "\n")


if __name__ == "__main__":
    main()
