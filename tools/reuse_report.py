#!/usr/bin/env python3
"""Writes docs/evidence/reuse.md: what KV that is computed once is worth.

tools/reuse_report.py --traces DIR [--bin build/bin] [--part ttft|miss|chat|trace|names]

Loads and goals stand in docs/evidence/reuse.json; DIR holds the trace that it names. Real processes of the bundled model and of one with
random weights, the simulator, and `sluice-bench reuse`. A part that is not run stays as the page has it. Ends with status 1 when a
goal is missed.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median

import random_model
from report import ROOT, table
from shaped_link_report import cpu

sys.path.insert(0, str(ROOT / "tests" / "system"))
from cluster import Cluster  # noqa: E402

EVIDENCE = ROOT / "docs/evidence"
WORDS = range(10, 3000)  # token ids that prompts are drawn from
LIMIT_S = 600


def draw(rng, n):
    return [rng.choice(WORDS) for _ in range(n)]


def ask(c, prompt, output, profile, **more):
    body = {"prompt": prompt, "max_tokens": output, "ignore_eos": True, "temperature": 0, "return_token_ids": True,
            "sluice": {"explain": True, "mode": "split", "profile": profile}, **more}
    said = json.loads(c.ask("/v1/completions", body, timeout_s=LIMIT_S)[2])
    return {"ids": said["choices"][0]["token_ids"], "ttft_ms": said["sluice"]["ttft_ms"],
            "prefill_ms": said["sluice"]["stages_ms"]["prefill"], "cached": said["usage"]["prompt_tokens_details"]["cached_tokens"]}


def cached_ttft(o, e):
    """A prompt for the first time, and again: its TTFT and the part of it that is computation."""
    rows, missed, rng = [], [], random.Random(1)
    for m in e["ttft"]["models"]:
        with tempfile.TemporaryDirectory() as tmp:
            model = {}
            if "hidden" in m:
                random_model.make(Path(tmp), m["hidden"], m["layers"])
                model = {"model": Path(tmp), "kv_memory_mib": 2048}
            with Cluster(o.bin, **model) as c:
                once = lambda p: ask(c, p, 2, e["ttft"]["profile"])
                once(draw(rng, 600))
                n = e["ttft"]["prompt_tokens"] - 3
                cold, warm = [], []
                for _ in range(m["prompts"]):
                    p = draw(rng, n)
                    cold.append(once(p))
                    warm += [once(p), once(p)]
                    if any(a["ids"] != cold[-1]["ids"] for a in warm[-2:]):
                        raise SystemExit("a prompt that was there has another answer")
        of = lambda key, answers: median(a[key] for a in answers)
        ratio = of("ttft_ms", cold) / of("ttft_ms", warm)
        rows.append([m["name"], f"{of('ttft_ms', cold):.0f}", f"{of('ttft_ms', warm):.1f}", f"{ratio:.1f}x", f"{of('prefill_ms', cold):.0f}",
                     f"{of('prefill_ms', warm):.1f}", f"{of('cached', warm):.0f}"])
    if ratio < e["ttft"]["goal"]:
        missed.append(f"TTFT of a prompt that was there, larger model: {ratio:.1f}x")
    return f"""A prompt of {e['ttft']['prompt_tokens']} tokens, then the same again; medians. One prefill and one decode node, a thread each, over loopback, profile
`{e['ttft']['profile']}`: all of the KV is sent each time. Answers were equal token by token. Goal, on the larger model: {e['ttft']['goal']}x.

{table(["model", "TTFT, first time, ms", "TTFT, again, ms", "", "computation, ms", "again, ms", "tokens that were there"], rows)}""", missed


def cpu_s(pid):
    f = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def pin(pid):
    """A core of its own, as far as this process's children go: caches are not another's."""
    last = max(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {last})


def misses(o, e):
    """Prompts that nobody had: CPU time of the prefill node, with the cache on and off in turns."""
    m, rng = e["miss"], random.Random(2)
    prompts, took = [draw(rng, m["prompt_tokens"]) for _ in range(m["prompts"])], {"on": [], "off": []}
    for i in range(m["rounds"]):
        for mode in ("on", "off") if i % 2 == 0 else ("off", "on"):
            with Cluster(o.bin, node_flags=lambda role, mode=mode: ["--prefix-cache", mode] if role == "prefill" else []) as c:
                for _ in range(2):
                    ask(c, draw(rng, m["prompt_tokens"]), 2, "ll-fast")
                pid = c.pid("p0")
                pin(pid)
                before = cpu_s(pid)
                for p in prompts:
                    ask(c, p, 2, "ll-fast")
                took[mode].append(cpu_s(pid) - before)
    ratio = median(off / on for on, off in zip(took["on"], took["off"]))
    missed = [] if ratio >= m["goal"] else [f"throughput with the cache on where nothing hits: {ratio:.3f}"]
    return f"""{m['prompts']} prompts of {m['prompt_tokens']} tokens that have nothing in common, {m['rounds']} rounds of each in turns; CPU time of the prefill node,
pinned to a core; median of the rounds, which differ by some percent.
Throughput with the cache on over off: **{ratio:.3f}** (goal: {m['goal']}).
""", missed


def chats(o, e):
    """Users who ask again and again with all that was said before: mean TTFT with the cache and without."""
    c_, mean_ms = e["chat"], {}

    def user(c, u):
        rng, said, out = random.Random(100 + u), draw(random.Random(u), c_["first_tokens"]), []
        for _ in range(c_["turns"]):
            begun = time.monotonic()
            a = ask(c, said, c_["output_tokens"], "ll-fast")
            a["client_ms"] = 1e3 * (time.monotonic() - begun)
            out.append(a)
            said = said + a["ids"] + draw(rng, c_["more_tokens"])
        return out

    answers = {}
    for mode in ("off", "on"):
        with Cluster(o.bin, prefills=1, kv_memory_mib=256,
                     node_flags=lambda role, mode=mode: ["--prefix-cache", mode] if role == "prefill" else []) as c, \
                ThreadPoolExecutor(c_["users"]) as pool:
            ask(c, draw(random.Random(9), 300), 2, "ll-fast")
            got = [a for u in pool.map(lambda u: user(c, u), range(c_["users"])) for a in u]
        answers[mode] = [a["ids"] for a in got]
        mean_ms[mode] = mean(a["ttft_ms"] for a in got)
        cached = sum(a["cached"] for a in got)
    if answers["on"] != answers["off"]:
        raise SystemExit("a chat has other answers with the cache")
    ratio = mean_ms["on"] / mean_ms["off"]
    missed = [] if ratio <= c_["goal"] else [f"mean TTFT of chats: {ratio:.2f}x of that without a cache"]
    return f"""{c_['users']} users at once, {c_['turns']} turns each; a turn sends all that was said before and {c_['more_tokens']} tokens more. One prefill and one decode node of the
bundled model. Mean TTFT without the cache {mean_ms['off']:.0f} ms, with it {mean_ms['on']:.0f} ms: **{ratio:.2f}x** (goal: {c_['goal']}); {cached} prompt tokens were
there. Answers were equal token by token.
""", missed


def trace(o, e):
    """The daemons' policy over a recorded load, whose prompts name what they have in common."""
    t, rows, missed = e["trace"], [], []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        for scale in t["time_scale"]:
            runs = {}
            for cache in (True, False):
                f.seek(0)
                f.truncate()
                json.dump({**t["scenario"], "prefix_cache": cache}, f)
                f.flush()
                r = subprocess.run([o.bin / "sluicectl", "simulate", "--scenario", f.name, "--trace", o.traces / t["file"], "--time-scale",
                                    str(scale), "--seed", "1", "--json"], capture_output=True, text=True)
                if r.returncode != 0:
                    raise SystemExit(f"sluicectl simulate: {r.stderr}")
                runs[cache] = json.loads(r.stdout)["summary"]
            on, off = runs[True], runs[False]
            share = on["cached_share"] / on["cached_share_oracle"]
            rows.append([f"{scale}", f"{on['cached_share']:.1%}", f"{on['cached_share_oracle']:.1%}", f"{share:.1%}",
                         f"{off['ttft_ms']['mean']:.0f}", f"{on['ttft_ms']['mean']:.0f}"])
            if share < t["goal"]:
                missed.append(f"trace at {scale} times its time: {share:.3f} of the oracle's hits")
    s = t["scenario"]
    return f"""`{t['file']}` in the simulator: Llama-3.1-8B, {s['prefill_nodes']} prefill and {s['decode_nodes']} decode nodes. The oracle is one cache as large as all prefill
nodes' together that has a prompt as soon as it comes. Goal: {t['goal']:.0%} of its hits.

{table(["time between requests, as a factor", "prompt tokens that were there", "the oracle's", "of it", "mean TTFT without cache, ms", "with it, ms"], rows)}""", missed


def names(o, e):
    r = subprocess.run([o.bin / "sluice-bench", "reuse", "--json"], capture_output=True, text=True, cwd=ROOT)
    if r.returncode != 0:
        raise SystemExit(f"sluice-bench reuse: {r.stderr}")
    figures = json.loads(r.stdout)["figures"]
    took = next(f["value"] for f in figures if f["name"] == "name and match")
    missed = [] if took <= e["names"]["goal_ms"] else [f"naming and matching: {took:.2f} ms"]
    rows = [[f["name"], f"{f['value']:.3f} {f['unit']}"] for f in figures]
    return f"""`sluice-bench reuse`, goal {e['names']['goal_ms']} ms together:

{table(["what", "took"], rows)}""", missed


PARTS = {"ttft": ("A prompt that was there", cached_ttft), "miss": ("Where nothing was there", misses), "chat": ("Conversations", chats),
         "trace": ("A recorded load", trace), "names": ("Names", names)}


def write_page(parts):
    path = EVIDENCE / "reuse.md"
    text = path.read_text() if path.exists() else ""
    heads = [h for h, _ in PARTS.values()]
    old = {h: part[len(h):].strip("\n") for part in text.split("\n## ")[1:] for h in heads if part.startswith(h + "\n")}
    body = "\n\n".join(f"## {h}\n\n{(parts.get(h) or old.get(h) or 'Not run yet.').strip()}" for h in heads)
    path.write_text(f"""# KV that is computed once

By `tools/reuse_report.py --traces DIR` on {cpu()}; loads and goals stand in [reuse.json](reuse.json), the decision in
[ADR 14](../adr/0014-kv-computed-once.md). What is built so far: caches on prefill nodes, and decisions that know them. Each request's KV is
still sent whole.

{body}
""")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--traces", type=Path, required=True)
    a.add_argument("--bin", type=Path, default=ROOT / "build/bin")
    a.add_argument("--part", choices=list(PARTS), help="only this one")
    o = a.parse_args()
    o.bin = o.bin.resolve()
    e = json.loads((EVIDENCE / "reuse.json").read_text())
    parts, missed = {}, []
    for name, (head, run) in PARTS.items():
        if o.part not in (None, name):
            continue
        text, misses_ = run(o, e)
        missed += misses_
        parts[head] = text.rstrip() + ("\n\nMissed: " + "; ".join(misses_) + "." if misses_ else "")
        print(f"## {head}\n\n{parts[head]}\n", flush=True)
        write_page(parts)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
