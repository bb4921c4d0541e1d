#!/usr/bin/env python3
"""Structured output beside xgrammar on this machine, in one run: the same vocabulary, grammars and documents, in turns.

Usage: tools/structured_report.py [--bin build/bin] [--venv build/structured-peer] [--install] [--rounds N] [--report]

--install makes the virtual environment (xgrammar needs torch: some GB). Exit 77 without it.
The vocabulary is that of a published model, 131,072 tokens of byte-level BPE, which mistral-common carries. A document becomes the
longest token that fits, again and again. Every mask on the way through each document is timed, beginning with a
freshly compiled grammar; one thread each. What timing a call that does nothing takes is measured too and taken off both: for xgrammar
that is a call through its Python binding, for ours the clock. --report writes docs/evidence/structured.md.
"""
import argparse
import base64
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import geometric_mean, median

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tools" / "grammar" / "cases.json"
EOS = 2

PEER = r"""
import json, sys, time
import numpy as np
import xgrammar as xgr
from importlib.metadata import version

cases, vocabulary, eos = json.load(open(sys.argv[1])), [bytes.fromhex(l.strip()) for l in open(sys.argv[2])], int(sys.argv[3])
info = xgr.TokenizerInfo([t or b"<none>" for t in vocabulary], xgr.VocabType.RAW, vocab_size=len(vocabulary), stop_token_ids=[eos])
ids = {}
for i, t in enumerate(vocabulary):
    if t and i != eos:
        ids.setdefault(t, i)
longest = max(map(len, ids))

def tokens(text):
    out, at = [], 0
    while at < len(text):
        n = next(n for n in range(min(longest, len(text) - at), 0, -1) if text[at:at + n] in ids)
        out.append(ids[text[at:at + n]])
        at += n
    return out

mask = np.zeros((1, (len(vocabulary) + 31) // 32), dtype=np.int32)
now = time.thread_time_ns
results = {}
for c in cases:
    def compile_it():
        compiler = xgr.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        if "schema" in c:
            return compiler.compile_json_schema(json.dumps(c["schema"]))
        return compiler.compile_grammar(c["ebnf"]) if "ebnf" in c else compiler.compile_regex(c["regex"])
    try:
        t = now()
        grammar = compile_it()
        matcher = xgr.GrammarMatcher(grammar)
        matcher.fill_next_token_bitmask(mask)
        compile_ms = (now() - t) / 1e6
        masks, refused, call = [], 0, []
        for text in c["documents"]:
            matcher = xgr.GrammarMatcher(grammar)
            for token in tokens(text.encode()):
                t = now(); matcher.fill_next_token_bitmask(mask); masks.append((now() - t) / 1e3)
                t = now(); matcher.is_terminated(); call.append((now() - t) / 1e3)
                if not matcher.accept_token(token):
                    refused += 1
                    break
        call.sort()
        nothing = call[len(call) // 2]
        results[c["name"]] = {"compile": compile_ms, "masks": [max(0.0, m - nothing) for m in masks], "call": nothing, "refused": refused}
    except Exception as e:
        results[c["name"]] = {"error": str(e)[:120]}
print(json.dumps({"version": version("xgrammar"), "cases": results}))
"""


def run(command: list) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def install(venv: Path) -> None:
    run([sys.executable, "-m", "venv", venv])
    run([venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "xgrammar", "mistral-common"])


def write_vocabulary(venv: Path, out: Path) -> int:
    found = sorted(venv.glob("lib/python3*/site-packages/mistral_common/data/tekken_*.json"))
    if not found:
        sys.exit(f"{venv} has no vocabulary; run with --install")
    tekken = json.loads(found[-1].read_text())
    size, special = tekken["config"]["default_vocab_size"], tekken["config"]["default_num_special_tokens"]
    tokens = [b""] * special + [base64.b64decode(v["token_bytes"]) for v in tekken["vocab"][: size - special]]
    out.write_text("".join(t.hex() + "\n" for t in tokens))
    return len(tokens)


def ours(bin_dir: Path, vocabulary: Path) -> dict:
    figures = json.loads(run([bin_dir / "sluice-bench", "grammar", "--quick", "--json", "--", CASES, vocabulary, EOS]))["figures"]
    out: dict = {}
    for f in figures:
        name, what = f["name"].rsplit("/", 1)
        out.setdefault(name, {})[what] = f["value"]
    for r in out.values():
        for what in ("mask p50", "mask p99", "mask max", "mask mean"):
            r[what] = max(0.0, r[what] - r["clock"])
    return out


def theirs(venv: Path, vocabulary: Path, script: Path) -> dict:
    said = json.loads(run([venv / "bin" / "python", script, CASES, vocabulary, EOS]).splitlines()[-1])
    every = []
    for r in said["cases"].values():
        if "error" in r:
            continue
        every += r["masks"]
        add_quantiles(r, r.pop("masks"))
    said["cases"]["all"] = {"compile": median(r["compile"] for r in said["cases"].values() if "compile" in r), "refused": 0}
    add_quantiles(said["cases"]["all"], every)
    return said


def add_quantiles(r: dict, masks: list) -> None:
    masks = sorted(masks)
    r["mask p50"], r["mask p99"], r["mask max"] = masks[(len(masks) - 1) // 2], masks[int(0.99 * (len(masks) - 1))], masks[-1]
    r["mask mean"] = sum(masks) / len(masks)


def middle(rounds: list, name: str, what: str):
    values = [r[name][what] for r in rounds if what in r.get(name, {})]
    return median(values) if values else None


def table(us: list, them: list) -> str:
    rows = ["| case | ours: p50 | p99 | mean | compile | xgrammar: p50 | p99 | mean | compile | mask speed, mean |", "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    show = lambda v: "-" if v is None else f"{v:.1f}"
    for name in us[0]:
        a = [middle(us, name, w) for w in ("mask p50", "mask p99", "mask mean", "compile")]
        b = [middle(them, name, w) for w in ("mask p50", "mask p99", "mask mean", "compile")]
        ratio = "-" if b[2] is None else f"{b[2] / a[2]:.1f}x"
        mark = " (1)" if them[0].get(name, {}).get("refused") else ""
        rows.append(f"| {name} | " + " | ".join(map(show, a)) + " | " + " | ".join(map(show, b)) + f" | {ratio}{mark} |")
    return "\n".join(rows)


def report(us: list, them: list, version: str, tokens: int) -> str:
    call = median(r["call"] for r in them[0].values() if "call" in r)
    clock = median(r["clock"] for r in us[0].values())
    both = [n for n in us[0] if n != "all" and "mask mean" in them[0].get(n, {})]
    typical = geometric_mean(middle(them, n, "mask mean") / middle(us, n, "mask mean") for n in both)
    ahead = sum(middle(them, n, "mask mean") >= middle(us, n, "mask mean") for n in both)
    return f"""# Structured output: masks and compilation

Made by `tools/structured_report.py --report` on {platform.machine()}, {len(us)} rounds in turns; one thread each, CPU time. Masks in microseconds,
compilation with the first mask in milliseconds. The vocabulary has {tokens:,} tokens. Goals: a mask at most 50 us (p50) and 1 ms (p99), compiling
at most 50 ms; masks no slower than xgrammar's.

{table(us, them)}

Mask speed beside xgrammar's: {typical:.1f}x in the geometric mean over cases, at least as fast in {ahead} of {len(both)}. The row of all masks
together is ruled by the slowest cases of each. Every mask on the way through the case's documents counts, from a freshly compiled grammar
on: those of places met for the first time are among them. xgrammar {version} is called from Python; timing a call that does nothing took
{call:.1f} us there and {clock:.1f} us here, which is taken off the masks. Its compilation makes all masks ahead; ours makes the largest, and
the rest when first asked for.
(1): it refused a document, whose masks end there. "-": it refused the grammar. Cases: `tools/grammar/cases.json`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin")
    parser.add_argument("--venv", type=Path, default=ROOT / "build" / "structured-peer")
    parser.add_argument("--install", action="store_true", help="make the virtual environment first (some GB)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="write docs/evidence/structured.md")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    if args.install:
        install(args.venv)
    if not (args.venv / "bin" / "python").exists():
        print(f"{args.venv} is absent; run with --install", file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as d:
        vocabulary, script = Path(d) / "vocabulary.hex", Path(d) / "peer.py"
        tokens = write_vocabulary(args.venv, vocabulary)
        script.write_text(PEER)
        us, them = [], []
        for i in range(args.rounds):
            us.append(ours(args.bin, vocabulary))
            said = theirs(args.venv, vocabulary, script)
            them.append(said["cases"])
            print(f"round {i + 1}: mean {us[-1]['all']['mask mean']:.1f} us, xgrammar {them[-1]['all']['mask mean']:.1f} us", flush=True)
    text = report(us, them, said["version"], tokens)
    for name, r in them[0].items():
        if "error" in r:
            print(f"xgrammar refused {name}: {r['error']}")
    print(text)
    if args.report:
        (ROOT / "docs" / "evidence" / "structured.md").write_text(text)


if __name__ == "__main__":
    main()
