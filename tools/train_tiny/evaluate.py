#!/usr/bin/env python3
"""Measure a model directory with `transformers` on the committed evaluation data.

    evaluate.py --model models/sluice-tiny [--dtype float32] [--out FILE]

Perplexity: eval/heldout.txt is tokenized without special tokens and cut into
consecutive runs of 1023 tokens (a shorter rest is dropped); every run is one
window of 1024 tokens, <|bos|> first.  All 1023 text tokens of a window are
scored; perplexity is exp(mean negative log likelihood over all windows).

Recall: the prompt is tokenized with <|bos|> first, the answer without; a prompt
counts when greedy decoding of as many tokens as the answer has gives exactly
those tokens.  Chat recall: the chat template with a generation prompt, greedy
until an end token; the text without special tokens must equal the answer.
"""
import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", type=pathlib.Path, required=True)
    ap.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    ap.add_argument("--out", type=pathlib.Path)
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    transformers.logging.set_verbosity_error()
    tok = AutoTokenizer.from_pretrained(a.model)
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=getattr(torch, a.dtype)).eval()
    data = a.model / "eval"
    start = time.time()

    ids = tok((data / "heldout.txt").read_text(), add_special_tokens=False).input_ids
    total = count = 0
    for i in range(0, len(ids) - 1022, 1023):
        x = torch.tensor([[tok.bos_token_id] + ids[i:i + 1023]])
        logits = model(x).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, x[0, 1:], reduction="sum").item()
        count += 1023
    nll = total / count
    result = {
        "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0], "dtype": a.dtype,
        "parameters": sum(p.numel() for p in model.parameters()),
        "heldout": {"window": 1024, "tokens_scored": count, "mean_nll": round(nll, 4),
                    "perplexity": round(float(torch.tensor(nll).exp()), 3)},
        "recall": {}, "recall_chat": {},
    }
    for path in sorted(data.glob("recall_*.jsonl"), key=lambda p: (len(p.name), p.name)):
        rows = [json.loads(line) for line in path.open()]
        good, longest = 0, 0
        chat = path.stem.startswith("recall_chat")
        for r in rows:
            if chat:
                text = tok.apply_chat_template(r["messages"], add_generation_prompt=True, tokenize=False)
                x = tok(text, add_special_tokens=False, return_tensors="pt").input_ids
                y = model.generate(x, attention_mask=torch.ones_like(x), do_sample=False, max_new_tokens=40)[0, x.shape[1]:]
                good += tok.decode(y, skip_special_tokens=True).strip() == r["answer"]
            else:
                x = tok(r["prompt"], return_tensors="pt").input_ids
                want = tok(r["answer"], add_special_tokens=False).input_ids
                y = model.generate(x, attention_mask=torch.ones_like(x), do_sample=False,
                                   max_new_tokens=len(want))[0, x.shape[1]:]
                good += y.tolist() == want
            longest = max(longest, x.shape[1])
        key = path.stem.rsplit("_", 1)[1]
        result["recall_chat" if chat else "recall"][key] = {
            "prompts": len(rows), "correct": good, "accuracy": round(good / len(rows), 4), "longest_prompt": longest}
        print(path.name, good, "/", len(rows), flush=True)
    result["seconds"] = round(time.time() - start, 1)
    print(json.dumps(result, indent=2))
    if a.out:
        a.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
