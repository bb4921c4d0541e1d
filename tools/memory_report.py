#!/usr/bin/env python3
"""Writes docs/evidence/memory.md: decode memory that is given out on demand, beside an oracle that knows every answer's length.

tools/memory_report.py --traces DIR [--bin build/bin] [--jobs 2] [--part simulated|cluster]

Load, method and goals stand in docs/evidence/memory.json; DIR holds the traces that it names. The simulator runs the daemons' own
scheduler, forecast and intake (`sluicectl simulate --memory sluice,greedy,reserve,oracle`); the cluster part runs real processes of
the bundled model. Ends with status 1 when a goal is missed.
"""
import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median

from memory_cluster import burst, known_chats, preempted
from report import ROOT, table
from shaped_link_report import cpu

EVIDENCE = ROOT / "docs/evidence"
WAYS = ["oracle", "sluice", "greedy", "reserve"]
HEADS = ["Simulated", "On a real cluster"]


def lengths_of(path):
    """(prompt, output) tokens of each request of a trace."""
    if path.suffix == ".csv":
        with path.open() as f:
            return [(int(r["ContextTokens"]), int(r["GeneratedTokens"])) for r in csv.DictReader(f)]
    with path.open() as f:
        return [(r["input_length"], r["output_length"]) for r in map(json.loads, f)]


def write_load(path, w, lengths, rate, requests, seed):
    rng, at = random.Random(seed), 0.0
    with path.open("w") as f:
        for _ in range(requests):
            prompt, output = rng.choice(lengths)
            json.dump({"timestamp": round(at * 1e3, 3), "input_length": max(2, round(prompt * w["prompt_factor"])),
                       "output_length": max(1, round(output * w["output_factor"]))}, f)
            f.write("\n")
            at += rng.expovariate(rate)


def simulate(o, e, w, lengths, rate, seed):
    """Each way's figures on the same load."""
    with tempfile.TemporaryDirectory() as tmp:
        load, scenario = Path(tmp) / "load.jsonl", Path(tmp) / "scenario.json"
        write_load(load, w, lengths, rate, e["requests"], seed)
        scenario.write_text(json.dumps({**e["base"], **w["scenario"]}))
        r = subprocess.run([o.bin / "sluicectl", "simulate", "--scenario", scenario, "--trace", load, "--memory", ",".join(WAYS),
                            "--seed", str(seed), "--json"], capture_output=True, text=True)
    if r.returncode != 0:
        raise SystemExit(f"sluicectl simulate: {r.stderr}")
    return {x["memory"]: x for x in json.loads(r.stdout)["runs"]}


def simulated(o, e, pool):
    """A row for each workload, rate and way: means over the seeds."""
    jobs = []
    for w in e["workloads"]:
        lengths = lengths_of(o.traces / w["trace"])
        jobs += [(w, lengths, rate, seed) for rate in w["rates"] for seed in range(1, e["seeds"] + 1)]
    runs = list(pool.map(lambda j: simulate(o, e, *j), jobs))
    rows = []
    for w in e["workloads"]:
        for rate in w["rates"]:
            these = [r for (x, _, y, _), r in zip(jobs, runs) if x is w and y == rate]
            rows += [figures(w["name"], rate, way, these) for way in WAYS]
    return rows


def figures(workload, rate, way, runs):
    of = lambda f: mean(f(r[way]) for r in runs)
    share = lambda f: mean(f(r[way]) / max(f(r["oracle"]), 1e-9) for r in runs)
    held, good = lambda x: x["memory_figures"]["concurrency"], lambda x: x["summary"]["slo_attainment"] * rate
    return {"workload": workload, "rate": rate, "way": way, "held": of(held), "held_share": share(held),
            "least_held_share": min(held(r[way]) / max(held(r["oracle"]), 1e-9) for r in runs),
            "goodput": of(good), "goodput_share": share(good),
            "refused": of(lambda x: x["summary"]["refused"] / x["summary"]["requests"]),
            "preemptions": of(lambda x: x["memory_figures"]["preemptions_per_request"]),
            "stall_p50": of(lambda x: x["memory_figures"]["stall_ms"]["p50"]),
            "stall_p99": of(lambda x: x["memory_figures"]["stall_ms"]["p99"]),
            "tpot_p99": of(lambda x: x["summary"]["tpot_ms"]["p99"])}


def simulated_page(e, rows):
    shown = table(["load", "requests/s", "memory", "at a time", "of the oracle's", "goodput /s", "of the oracle's", "refused",
                   "preemptions per request", "stall p50, p99 ms", "TPOT p99 ms"],
                  [[r["workload"], f"{r['rate']}", r["way"], f"{r['held']:.1f}", f"{r['held_share']:.1%}", f"{r['goodput']:.2f}",
                    f"{r['goodput_share']:.1%}", f"{r['refused']:.1%}", f"{r['preemptions']:.4f}",
                    f"{r['stall_p50']:.0f}, {r['stall_p99']:.0f}", f"{r['tpot_p99']:.1f}"] for r in rows])
    about = "\n".join(f"- {w['name']}: {w['about']} (`{w['trace']}`), {w['scenario']['decode_kv_gb']} GB of KV memory a decode node."
                      for w in e["workloads"])
    return f"""## {HEADS[0]}

{e['requests']} requests a run, mean of {e['seeds']} seeds; the same loads, and the same memory, for each way to give it out:
`oracle` knows every answer's length and admits whom an exact forecast has room for; `sluice` is the daemons' forecast; `greedy` admits
whose prompt fits now; `reserve` takes all that a request may become. At a time: sequences that decode, from a tenth of the arrivals
on to the last. Goodput: requests that met both objectives, as a share of those that came, times their rate. Who is not expected to
start in time is refused. Stall: of preempted requests, the time without their blocks.

{about}

{shown}"""


def clustered(o, e):
    """Bursts of chats on a small real node: on demand, and an oracle that reserves what each will take; and preempted answers."""
    lengths = random.Random(1).choices([n for _, n in lengths_of(o.traces / e["cluster"]["trace"])], k=e["cluster"]["chats"])
    chats = known_chats(o.bin, [min(max(8, n), e["cluster"]["longest"]) for n in lengths], 1)
    runs = range(e["cluster"]["bursts"])
    demand = [burst(o.bin, chats) for _ in runs]
    oracle = [burst(o.bin, chats, told=True, node_flags=("--kv-on-demand", "off")) for _ in runs]
    short = [burst(o.bin, chats, node_flags=("--kv-on-demand", "off")) for _ in runs[:1]]
    return {"demand": demand, "oracle": oracle, "reserve": short, "tokens": sum(len(x.ids) for x in chats),
            "preempted": preempted(o.bin, chats, e["cluster"]["preempted"])}


def clustered_page(e, c):
    of = lambda way, key: median(b[key] for b in c[way])
    rows = table(["memory", "at a time, most", "at a time, mean", "answers/s", "preempted answers"],
                 [[name, f"{of(way, 'most'):.0f}", f"{of(way, 'held'):.1f}", f"{of(way, 'per_s'):.1f}", f"{of(way, 'answers'):.0f}"]
                  for way, name in (("oracle", "reserved, lengths told in `max_tokens`"), ("demand", "on demand, no `max_tokens`"),
                                    ("reserve", "reserved, no `max_tokens`"))])
    p, n = c["preempted"], e["cluster"]["chats"]
    return f"""## {HEADS[1]}

On {cpu()}: a prefill and a decode node of the bundled model, one thread each, over loopback. {n} chats at once, {c['tokens']} tokens of
answers, on a decode node with 32 MiB of KV memory ({32 * 512} tokens); median of {e['cluster']['bursts']} bursts on fresh coordinators, which have
learned nothing. A chat ends at a stop token that a run before has found, so that the server does not know its length.

{rows}
The load fits once lengths are known, and nobody was preempted at this size: the table says that not knowing them costs nothing here, and
no more. All {n * len(c['demand'])} chats on demand were answered, {sum(b['differ'] for b in c['demand'])} with other tokens than undisturbed.

Preempted answers: {p['equal']} of {p['answers']} are those of an undisturbed run, token by token (bursts on 4 MiB; {p['swap']} times swapped,
{p['recompute']} times recomputed, {p['return']} times placed again).
"""


def missed_in_cluster(e, c):
    of = lambda way, key: median(b[key] for b in c[way])
    out = []
    if of("demand", "most") < e["cluster"]["least_at_a_time"]:
        out.append(f"cluster: {of('demand', 'most'):.0f} chats at a time")
    for key, goal in (("held", e["least_concurrency"]), ("per_s", e["least_goodput"])):
        if of("demand", key) < goal * of("oracle", key):
            out.append(f"cluster: {of('demand', key) / of('oracle', key):.3f} of the oracle's ({key})")
    if c["preempted"]["differ"] or c["preempted"]["equal"] < c["preempted"]["answers"] or sum(b["differ"] for b in c["demand"]):
        out.append("cluster: answers differ")
    return out


def missed_of(e, rows):
    out = []
    for r in rows:
        name = f"{r['workload']} at {r['rate']} requests/s"
        if r["way"] == "sluice" and r["held_share"] < e["least_concurrency"]:
            out.append(f"{name}: {r['held_share']:.3f} of the oracle's concurrency")
        if r["way"] == "sluice" and r["goodput_share"] < e["least_goodput"]:
            out.append(f"{name}: {r['goodput_share']:.3f} of the oracle's goodput")
    return out


def verdict(missed):
    return "\nGoals: all met.\n" if not missed else "\nMissed:\n\n" + "".join(f"- {m}\n" for m in missed)


def write_page(e, parts):
    """A part that was not run stays as the page has it."""
    path = EVIDENCE / "memory.md"
    text = path.read_text() if path.exists() else ""
    old = {h: "## " + part for part in text.split("\n## ")[1:] for h in HEADS if part.startswith(h)}
    body = "\n".join(parts.get(h, old.get(h, f"## {h}\n\nNot run yet.\n")).rstrip("\n") + "\n" for h in HEADS)
    path.write_text(f"""# Decode memory on demand

By `tools/memory_report.py --traces DIR`; load, method and goals stand in [memory.json](memory.json), the decision in
[ADR 10](../adr/0010-decode-memory-on-demand.md). Goals: on demand at least {e['least_concurrency']:.0%} of the oracle's concurrency and
{e['least_goodput']:.0%} of its goodput; no answer differs from an undisturbed one.

{body}""")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--traces", type=Path, required=True)
    a.add_argument("--bin", type=Path, default=ROOT / "build/bin")
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--part", choices=["simulated", "cluster"], help="only this one; the other stays as the page has it")
    o = a.parse_args()
    o.bin = o.bin.resolve()
    e = json.loads((EVIDENCE / "memory.json").read_text())
    parts, missed = {}, []
    if o.part != "cluster":
        with ThreadPoolExecutor(o.jobs) as pool:
            rows = simulated(o, e, pool)
        missed += missed_of(e, rows)
        parts[HEADS[0]] = simulated_page(e, rows) + verdict(missed_of(e, rows))
    if o.part != "simulated":
        c = clustered(o, e)
        missed += missed_in_cluster(e, c)
        parts[HEADS[1]] = clustered_page(e, c) + verdict(missed_in_cluster(e, c))
    write_page(e, parts)
    print(*parts.values(), sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
