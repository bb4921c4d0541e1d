#!/usr/bin/env python3
"""Train sluice-tiny on the CPU, one thread.

    train.py --work DIR --model models/sluice-tiny [--until STEP] [--fresh]

Follows the stages of plan.py from the last checkpoint in DIR/ckpt (none: from
the start).  Data, initial weights and stages depend only on fixed seeds.
"""
import argparse
import importlib
import json
import os
import pathlib
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
from safetensors.torch import save_file

import plan
from net import Net
from tasks import Tasks


@torch.no_grad()
def orthogonal(g, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrix."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.T if tall else x).float()


class Optimizer:
    """Muon for the matrices of the layers, AdamW for embedding and norms."""

    def __init__(self, net):
        self.mat = [p for n, p in net.named_parameters() if p.ndim == 2 and "embed" not in n]
        self.rest = [p for n, p in net.named_parameters() if p.ndim != 2 or "embed" in n]
        self.mom = [torch.zeros_like(p) for p in self.mat]
        self.adam = torch.optim.AdamW(self.rest, lr=1e-3, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)

    @torch.no_grad()
    def step(self, lr):
        """lr is relative: 1 is the peak."""
        for p, m in zip(self.mat, self.mom):
            m.mul_(0.95).add_(p.grad)
            u = orthogonal(p.grad.add(m, alpha=0.95))
            p.mul_(1 - plan.MUON_LR * lr * plan.DECAY)
            p.add_(u, alpha=-plan.MUON_LR * lr * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        for g in self.adam.param_groups:
            g["lr"] = plan.ADAM_LR * lr
        self.adam.step()
        for p in self.mat + self.rest:
            p.grad = None

    def state(self):
        return {"mom": self.mom, "adam": self.adam.state_dict()}

    def load(self, s):
        self.mom = s["mom"]
        self.adam.load_state_dict(s["adam"])


def check(net, tasks, texts, lengths, count):
    """Text loss and share of recall prompts whose answer tokens are all the best guess."""
    out = {}
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for name, t in texts.items():
            x = torch.from_numpy(t[:16 * 257].astype(np.int64)).view(16, 257)
            out[name] = round(torch.nn.functional.cross_entropy(
                net(x[:, :-1]).float().flatten(0, 1), x[:, 1:].flatten()).item(), 3)
        for n in lengths:
            good = first = 0
            rng = np.random.default_rng([77, n])
            total = max(8, count * 256 // n)
            for _ in range(total):
                prompt, answer = tasks.recall_prompt(rng, n)
                p, a = tasks.tok.encode(prompt).ids, tasks.tok.encode(answer, add_special_tokens=False).ids
                h = net.hidden(torch.tensor([p + a[:-1]]))[0, -len(a):]
                hit = (h @ net.embed_tokens.weight.T).argmax(-1).tolist()
                good += hit == a
                first += hit[0] == a[0]
            out[f"recall{n}"] = (round(good / total, 3), round(first / total, 3))
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", type=pathlib.Path, required=True)
    ap.add_argument("--model", type=pathlib.Path, required=True)
    ap.add_argument("--until", type=int, default=10**9)
    ap.add_argument("--fresh", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(plan.SEED)
    config = json.loads((a.model / "config.json").read_text())
    net, opt = Net(config), None
    opt = Optimizer(net)
    tasks = Tasks(a.model, a.work / "corpus")
    held = Tasks(a.model, a.work / "corpus", "held")
    texts = {n: t for n, t in zip(("austen", "kjv", "docs"), held.text)}
    ckpt = a.work / "ckpt"
    ckpt.mkdir(exist_ok=True)
    step = seconds = tokens = 0
    last = ckpt / "last.pt"
    if last.exists() and not a.fresh:
        s = torch.load(last)
        net.load_state_dict(s["net"])
        opt.load(s["opt"])
        step, seconds, tokens = s["step"], s["seconds"], s["tokens"]
    loss_of = torch.compile(net.loss, dynamic=False)

    def save():
        torch.save({"net": net.state_dict(), "opt": opt.state(), "step": step, "seconds": seconds, "tokens": tokens},
                   ckpt / "tmp.pt")
        os.replace(ckpt / "tmp.pt", last)
        save_file(net.hf_state(), ckpt / "model.safetensors", metadata={"format": "pt"})

    run, t_log, n_log = [], time.time(), 0
    while step < a.until:
        at = plan.at(step)
        if at is None:
            break
        t0 = time.time()
        ids, w = tasks.batch(plan.SEED, step, at["tokens"] // at["room"], at["room"], at["mix"])
        ids, w = torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(w)
        total, micro = w.sum(), max(1, at["micro"] // at["room"])
        loss = 0.0
        for i in range(0, len(ids), micro):
            x, y, ww = ids[i:i + micro, :-1].contiguous(), ids[i:i + micro, 1:].contiguous(), w[i:i + micro]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                part = loss_of(x, y, ww)
            part = part * (ww.sum() / total)
            part.backward()
            loss += part.item()
        opt.step(at["lr"])
        step += 1
        tokens += at["tokens"]
        seconds += time.time() - t0
        run.append(loss)
        n_log += at["tokens"]
        if step % 25 == 0:
            print(f"step {step} room {at['room']} lr {at['lr']:.3f} loss {np.mean(run):.3f} "
                  f"{n_log / (time.time() - t_log):.0f} tok/s {tokens / 1e6:.2f}M tokens {seconds:.0f} s", flush=True)
            run, t_log, n_log = [], time.time(), 0
        if step % plan.CHECK == 0:
            print("check", step, check(net, held, texts, at["check"], 20), flush=True)
            save()
            importlib.reload(plan)  # later stages may be adjusted while it runs
            t_log = time.time()
    print("check", step, check(net, held, texts, (256, 512, 1024, 2048, 4096), 64), flush=True)
    save()


if __name__ == "__main__":
    main()
