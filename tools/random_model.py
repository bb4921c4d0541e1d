#!/usr/bin/env python3
"""A model directory with random weights of a given size and the bundled model's tokenizer, for measurements of speed.

Usage: tools/random_model.py DIR [--hidden N] [--layers N]

Its answers mean nothing. The weights are the same in every run. Needs nothing but Python.
"""
import argparse
import array
import json
import random
import shutil
import struct
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "models" / "sluice-tiny"
SCALE = 0.02
DRAWN = 65521  # weights; a prime, so that rows that are filled from them again and again do not repeat


def config(hidden, layers):
    c = json.loads((BUNDLED / "config.json").read_text())
    heads = hidden // c["head_dim"]
    return {**c, "hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": max(heads // 2, 1)}


def shapes(c):
    h, kv, ff = c["hidden_size"], c["num_key_value_heads"] * c["head_dim"], c["intermediate_size"]
    out = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        out |= {at + "input_layernorm.weight": (h,), at + "post_attention_layernorm.weight": (h,),
                at + "self_attn.q_proj.weight": (h, h), at + "self_attn.k_proj.weight": (kv, h),
                at + "self_attn.v_proj.weight": (kv, h), at + "self_attn.o_proj.weight": (h, h),
                at + "mlp.gate_proj.weight": (ff, h), at + "mlp.up_proj.weight": (ff, h), at + "mlp.down_proj.weight": (h, ff)}
    return out


def bf16(x):
    return struct.unpack("<I", struct.pack("<f", x))[0] >> 16


def make(directory, hidden, layers):
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(BUNDLED / name, directory)
    c = config(hidden, layers)
    (directory / "config.json").write_text(json.dumps(c, indent=2))
    rng = random.Random(1)
    drawn = array.array("H", (bf16(rng.gauss(0, SCALE)) for _ in range(DRAWN))).tobytes()
    header, at = {}, 0
    for name, shape in shapes(c).items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    said = json.dumps(header).encode()
    with open(directory / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(said)) + said)
        for name, t in header.items():
            size = t["data_offsets"][1] - t["data_offsets"][0]
            one = struct.pack("<H", bf16(1.0)) if "norm" in name else None
            f.write(one * (size // 2) if one else (drawn * (size // len(drawn) + 1))[:size])


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("directory", type=Path)
    args.add_argument("--hidden", type=int, default=768)
    args.add_argument("--layers", type=int, default=8)
    a = args.parse_args()
    make(a.directory, a.hidden, a.layers)


if __name__ == "__main__":
    main()
