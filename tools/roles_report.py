#!/usr/bin/env python3
"""Writes docs/evidence/roles.md: what nodes that change their role are worth, and that they do not flap.

tools/roles_report.py [--bin build/bin] [--jobs 2] [--second]

Runs `sluicectl simulate` over the two loads of docs/evidence/roles.json (goodput of each fixed split and of nodes that change
their role) and over the scenarios of docs/evidence/perturbations.json. Ends with status 1 when a goal is missed.
With --second only the second load runs, and its part of the page is made anew.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVIDENCE = ROOT / "docs/evidence"
LEAST, MOST, HALVINGS = 0.5, 2.0, 5   # factors on the registered rate


class Simulator:
    def __init__(self, bin_dir):
        self._program = bin_dir / "sluicectl"
        self._dir = tempfile.TemporaryDirectory()

    def run(self, scenario, seed):
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._dir.name) as f:
            json.dump(scenario, f)
            f.flush()
            r = subprocess.run([self._program, "simulate", "--scenario", f.name, "--seed", str(seed), "--json"],
                               capture_output=True, text=True, cwd=ROOT)
        if r.returncode != 0:
            raise SystemExit(f"sluicectl simulate: {r.stderr}")
        return json.loads(r.stdout)


def scaled(scenario, factor):
    """As long, with so many times the requests."""
    out = {**scenario, "phases": [dict(p) for p in scenario["phases"]]}
    for part in (out, *out["phases"]):
        part["rate"] *= factor
        part["requests"] = max(1, round(part["requests"] * factor))
    return out


def attainment(sim, scenario, seeds):
    runs = [sim.run(scenario, s) for s in range(1, seeds + 1)]
    return sum(r["summary"]["slo_attainment"] for r in runs) / seeds, runs


def goodput(sim, scenario, e):
    """(factor on the rate, the runs there): the highest at which the share of requests that is asked for meets both. No runs:
    not even at the least that was tried, which is the factor then."""
    low, high, best = LEAST, MOST, None
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        share, runs = attainment(sim, scaled(scenario, middle), e["seeds"])
        if share >= e["attainment"]:
            low, best = middle, runs
        else:
            high = middle
    return low, best


def with_split(base, split, roles, load_s):
    return {**base, "prefill_nodes": split[0], "decode_nodes": split[1], "roles": {"automatic": roles, "load_s": load_s}}


def reversals(changes):
    return sum(a["to"] != b["to"] for a, b in zip(changes, changes[1:]))


def shifted(sim, e, base, pool):
    ways = [(f"{p} : {d}, fixed", with_split(base, (p, d), False, e["load_s"])) for p, d in e["splits"]]
    ways.append((f"{e['starts'][0]} : {e['starts'][1]} at first, nodes change", with_split(base, e["starts"], True, e["load_s"])))
    found = list(pool.map(lambda w: goodput(sim, w[1], e), ways))
    rate = (base["requests"] + sum(p["requests"] for p in base["phases"])) / (
        base["requests"] / base["rate"] + sum(p["requests"] / p["rate"] for p in base["phases"]))
    return [{"way": name, "factor": f, "goodput": f * rate * e["attainment"], "runs": runs} for (name, _), (f, runs) in zip(ways, found)]


def perturbed(sim, e, pool, seeds):
    registered = json.loads((EVIDENCE / "perturbations.json").read_text())

    def one(scenario):
        s = {k: v for k, v in {**registered["base"], "admission": False, **scenario}.items() if k != "name"}
        fixed, _ = attainment(sim, {**s, "roles": {"automatic": False}}, seeds)
        moving, runs = attainment(sim, {**s, "roles": {"automatic": True, "load_s": e["load_s"]}}, seeds)
        changes = [r["role_changes"] for r in runs]
        return {"name": scenario["name"], "fixed": fixed, "moving": moving, "changes": sum(map(len, changes)),
                "undone": sum(map(reversals, changes))}

    return list(pool.map(one, registered["scenarios"]))


def times_of(changes):
    return ", ".join(f"at {c['at_s']:.0f} s to {c['to']}" for c in changes) or "none"


def worth(rows):
    """Of nodes that change, over the best fixed split."""
    return rows[-1]["goodput"] / max(r["goodput"] for r in rows[:-1])


def load_part(e, base, rows):
    below = lambda r: "" if r["runs"] else "< "
    out = ["| prefill : decode nodes | load, as a factor | goodput, requests/s |", "|---|---|---|"]
    out += [f"| {r['way']} | {below(r)}{r['factor']:.2f} | {below(r)}{r['goodput']:.2f} |" for r in rows]
    out += ["", f"**{worth(rows):.2f} times the best fixed split** (goal: {e['goal']}).", ""]
    changes = [times_of(r["role_changes"]) for r in rows[-1]["runs"] or []]
    return out + [f"Changes at that load, by seed (the load shifts at {base['requests'] / base['rate']:.0f} s):", ""] + [f"- {c}" for c in changes]


def second_part(e, rows):
    return ["## A load that the balance was not developed on", "", e["second_about"], "", *load_part(e, e["second"], rows), ""]


def page(e, rows, second, tails, seeds):
    out = ["# Nodes that change their role", "",
           "By `tools/roles_report.py`; loads, method and goals stand in",
           "[roles.json](roles.json). Simulated, not measured: the daemons' own balance of the roles (`coordinator/policy/role_balance.cpp`),",
           "placement, admission and batch scheduler over simulated time. That a real process changes its role without losing a request is",
           "the system test `role change`; that a cluster changes one by itself, `auto roles`.", "",
           "## A load that shifts from long prompts to long answers", "",
           f"Goodput: requests per second that meet both objectives at the highest load where {e['attainment']:.0%} of all do. Mean of "
           f"{e['seeds']} seeds.", "", *load_part(e, e["base"], rows), "",
           *second_part(e, second)]
    out += ["## It does not flap", "",
            f"The registered scenarios of [perturbations.json](perturbations.json), {seeds} seeds each. Undone: changes that were followed by one the other way.", "",
            "| scenario | attainment, fixed | attainment, nodes change | changes | undone |", "|---|---|---|---|---|"]
    out += [f"| {t['name']} | {t['fixed']:.2%} | {t['moving']:.2%} | {t['changes']} | {t['undone']} |" for t in tails]
    out += ["", "## What this does not show", "",
            "- Prompts may be computed where they are decoded, in every row. So a fixed split of mostly decode nodes serves a load that it does not",
            "  fit well, and the second load gains nothing from nodes that change.",
            "- A node that changes from decode to prefill ends its streams here; real ones may move to other nodes first, which is faster.",
            "- All nodes are alike. A node that is new in a role is expected to do as the mean of that side does."]
    return "\n".join(out) + "\n"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--bin", type=Path, default=ROOT / "build/bin")
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--perturbed-seeds", type=int, default=5)
    a.add_argument("--second", action="store_true")
    o = a.parse_args()
    e = json.loads((EVIDENCE / "roles.json").read_text())
    sim, target = Simulator(o.bin.resolve()), EVIDENCE / "roles.md"
    with ThreadPoolExecutor(o.jobs) as pool:
        second = shifted(sim, e, e["second"], pool)
        if o.second:
            known = re.sub(r"## A load that the balance was not developed on.*?(?=## It does not flap)", "", target.read_text(), flags=re.S)
            before, after = known.split("## It does not flap")
            target.write_text(before + "\n".join(second_part(e, second)) + "\n## It does not flap" + after)
            print(f"goodput: {worth(second):.2f} of the best fixed split under the second load")
            return 0 if worth(second) >= e["goal"] else 1
        rows = shifted(sim, e, e["base"], pool)
        tails = perturbed(sim, e, pool, o.perturbed_seeds)
    target.write_text(page(e, rows, second, tails, o.perturbed_seeds))
    missed = [f"goodput {worth(r):.2f} of {e['goal']}" for r in (rows, second) if worth(r) < e["goal"]]
    missed += [f"{t['name']}: {t['undone']} changes undone, attainment {t['moving']:.4f} of {t['fixed']:.4f}" for t in tails
               if t["undone"] or t["moving"] < t["fixed"] - 0.005]
    print(f"goodput: {worth(rows):.2f} of the best fixed split, {worth(second):.2f} under the second load", *(f"missed: {m}" for m in missed), sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
