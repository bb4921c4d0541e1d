#!/usr/bin/env python3
"""Makes tests/engine/golden/rope.json: what transformers computes from rotary settings, without a model.

    python tools/golden/engine_rope.py     (needs torch and transformers 5, whose rules for these settings Sluice follows)

Each entry: fields of config.json, and the inverse frequencies and attention factor that follow.
"""
import json
import pathlib
import re

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/engine/golden/rope.json"
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}

CASES = {
    "plain": {},
    "plain, parameters": {"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}},
    "linear": {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4}},
    "dynamic within the context": {"rope_theta": 10000.0, "rope_scaling": {"type": "dynamic", "factor": 2.0}},
    "Llama 3.1": {"rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "original_max_position_embeddings": 8192}},
    "Llama 3.2": {"rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192}},
    "llama3, original beside": {"rope_theta": 500000.0, "rope_scaling": LLAMA3, "original_max_position_embeddings": 8192},
    "llama3, no original": {"rope_theta": 500000.0, "rope_scaling": LLAMA3},
    "yarn": {"rope_theta": 1000000.0, "rope_scaling": YARN},
    "yarn, old spelling": {"rope_theta": 1000000.0, "rope_scaling": {"type": "yarn", **{k: v for k, v in YARN.items() if k != "rope_type"}}},
    "yarn, original beside": {"rope_theta": 1000000.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0},
                              "original_max_position_embeddings": 8192},
    "yarn, no original": {"rope_theta": 10000.0, "rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
    "yarn, factor null": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "factor": None}},
    "yarn, attention_factor": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "attention_factor": 0.7}},
    "yarn, mscale": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.5}},
    "yarn, half of mscale": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "mscale": 0.707}},
    "yarn, mscale of 0": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 0}},
    "yarn, betas": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "beta_fast": 16, "beta_slow": 2}},
    "yarn, betas null": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "beta_fast": None, "beta_slow": 0}},
    "yarn, not truncated": {"rope_theta": 150000.0, "rope_scaling": {**YARN, "factor": 32.0, "truncate": False}},
    "yarn, one beta": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "beta_fast": 1.0, "beta_slow": 1.0, "truncate": False}},
    "yarn, factor below 1": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "factor": 0.5}},
    "yarn, short original": {"rope_theta": 10000.0, "rope_scaling": {**YARN, "original_max_position_embeddings": 4}},
    "yarn, parameters": {"rope_parameters": {**YARN, "rope_theta": 5000.0}},
}

out = []
for name, fields in CASES.items():
    fields = json.loads(json.dumps(fields))
    kept = json.loads(json.dumps(fields))  # transformers changes what it is given
    rope = LlamaRotaryEmbedding(LlamaConfig(hidden_size=128, num_attention_heads=2, head_dim=64, max_position_embeddings=131072,
                                            **fields))
    out.append({"name": name, "config": kept, "attention_factor": rope.attention_scaling,
                "inv_freq": [float(f"{float(x):.8g}") for x in rope.inv_freq]})
text = json.dumps(out, indent=1)
text = re.sub(r"\[\s+(-?\d[^\[\]\"{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]", text)
OUT.write_text(text + "\n")
