#!/usr/bin/env python3
"""What the coordinator costs on its way between clients and nodes, beside a bare relay of the same bytes; and what it cost before.

Usage: tools/front_report.py [--bin build/bin] [--before PROGRAM] [--note TEXT] [--report]

--before: the sluice-coordinator of an earlier commit, measured in the same run by the same suite (`sluice-bench front`), in turn with
this one's. --report writes docs/evidence/front.md. Take it from an idle machine: the front, its nodes and its clients want two cores.
"""
import argparse
import json
import subprocess
from pathlib import Path

from report import ROOT, table

PAGE = ROOT / "docs" / "evidence" / "front.md"
LOADS = ["1 streams, 1000 tokens/s", "64 streams, 20000 tokens/s", "512 streams, 20000 tokens/s", "64 streams, 50000 tokens/s",
         "512 streams, 50000 tokens/s"]
AT_ONCE = ["1 at once", "64 at once", "512 at once"]


def measure(bench, coordinator):
    out = subprocess.run([bench, "front", "--json", "--log-level", "error", "--", "models/sluice-tiny", coordinator], cwd=ROOT, check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    data = json.loads(out)
    return {f["name"]: f for f in data["figures"]}, data["machine"]


def shown(figure):
    return f"{figure['value']:.0f}" if figure["value"] >= 100 else f"{figure['value']:.1f}"


def rows(names, loads, now, before):
    out = []
    for load in loads:
        for name in names:
            f = now[f"{name}, {load}"]
            row = [load, name, shown(f), shown(f["reference"])]
            out.append(row + ([shown(before[f"{name}, {load}"])] if before else []))
    return out


def page(now, before, machine, args):
    head = ["load", "us", "Sluice", "bare relay"] + (["Sluice before"] if before else [])
    streams = rows(["CPU per token", "node to client, p50", "node to client, p99"], LOADS, now, before)
    requests = rows(["CPU per short request", "of it the main thread", "TTFT, nodes take no time, p50"], AT_ONCE, now, before)
    note = f"\n{args.note}\n" if args.note else ""
    how = ("\n*Before* is the program of the commit that added the suite, built by hand:\n`git worktree add ../before "
           "$(git log --diff-filter=A --format=%h -- tools/bench/front_bench.cpp)`, `make cluster` there, and its\n"
           "`build/bin/sluice-coordinator` as `--before`.\n" if before else "")
    return f"""# What the coordinator costs per token and per request

`tools/front_report.py --report{' --before PROGRAM' if before else ''}` on {machine['cpu']}, {machine['cores']} cores.
{note}
The coordinator is a process of its own and the only one whose CPU time counts, all its threads together. Its nodes speak the real control
protocol and compute nothing; its clients read streams. Both live in the suite (`sluice-bench front`), on the other core. The reference is
a bare Asio relay that carries as many bytes over the same hops: a read of each node message, a write of each client's chunk, and nothing
else. Below it nobody comes who writes once for each token of each client: that write is most of it.
{how}
## Streamed tokens

{table(head, streams)}
64 streams are on one decode node, 512 on eight, each of which sends a message a step with a token for each of its streams.
*Node to client* is from the node's send to the client's read, and holds what both ends cost themselves; a step's clients are written to
one after another.

## Short requests

{table(head, requests)}
A streamed chat with a prompt of some twenty words and an answer of one token, prefilled on one node and decoded on another; each client asks
again as soon as it is answered. *TTFT* is the client's, with nodes that answer at once: what the coordinator adds is what it is above the
relay's. With many at once it is the queue of a saturated core.
"""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", type=Path, default=ROOT / "build" / "bin")
    p.add_argument("--before", help="sluice-coordinator of an earlier commit")
    p.add_argument("--note", default="", help="what a reader should know about this run")
    p.add_argument("--report", action="store_true")
    args = p.parse_args()
    bench = (ROOT / args.bin / "sluice-bench").resolve()
    before = measure(bench, Path(args.before).resolve())[0] if args.before else None
    now, machine = measure(bench, (ROOT / args.bin / "sluice-coordinator").resolve())
    text = page(now, before, machine, args)
    if args.report:
        PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
