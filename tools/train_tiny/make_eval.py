#!/usr/bin/env python3
"""Write the held-out evaluation data of sluice-tiny.

    make_eval.py --work DIR --model models/sluice-tiny

Free text comes from the public-domain part that corpus.py keeps out of training;
the recall prompts hide facts between lines of that same text.
"""
import argparse
import json
import pathlib

import numpy as np

from tasks import Tasks

SEED = 4242
COUNTS = {256: 100, 512: 100, 1024: 100, 2048: 50, 4096: 25}
CHAT = {256: 50, 512: 50}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", type=pathlib.Path, required=True)
    ap.add_argument("--model", type=pathlib.Path, required=True)
    a = ap.parse_args()
    out = a.model / "eval"
    out.mkdir(exist_ok=True)
    text = "\n".join((a.work / f"corpus/{n}.held.txt").read_text() for n in ("austen", "kjv"))
    assert len(text.encode()) <= 200_000
    (out / "heldout.txt").write_text(text)
    tasks = Tasks(a.model, a.work / "corpus", "held", ("austen", "kjv"))
    for n, count in COUNTS.items():
        rng = np.random.default_rng([SEED, n])
        with (out / f"recall_{n}.jsonl").open("w") as f:
            for _ in range(count):
                # Leave room for the answer inside the model's 4096 positions.
                prompt, answer = tasks.recall_prompt(rng, min(n, 4080))
                assert len(tasks.tok.encode(prompt).ids) <= n
                f.write(json.dumps({"prompt": prompt, "answer": answer}) + "\n")
    for n, count in CHAT.items():
        rng = np.random.default_rng([SEED, n, 1])
        with (out / f"recall_chat_{n}.jsonl").open("w") as f:
            for _ in range(count):
                ask, answer = tasks.recall_chat(rng, n)
                f.write(json.dumps({"messages": [{"role": "user", "content": ask}], "answer": answer}) + "\n")


if __name__ == "__main__":
    main()
