#!/usr/bin/env python3
"""Makes tests/engine/golden: small random models of every family, and what transformers computes with them in f32.

    python tools/golden/engine_models.py [NAME ...]     (needs torch, transformers, safetensors)

Each folder is a Hugging Face model directory plus expected.safetensors:
    prompt         I64 [P]       token ids
    positions      I64 [K]       prompt positions whose logits are kept
    prompt_logits  F32 [K, V]
    tokens         I64 [32]      greedy continuation
    step_logits    F32 [32, V]   the logits each of those tokens was chosen from
Seeds are searched until no greedy choice is a near-tie, so that equal tokens are a fair demand.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests/engine/golden"
STEPS = 32
MIN_MARGIN = 0.03  # top logit over the runner-up, in every step
MIN_DISTINCT = 10  # different tokens among the steps

COMMON = {"hidden_act": "silu", "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 512}

# name -> (config.json, file dtype, prompt length, shards)
MODELS = {
    # Llama 3.1 style: rope_parameters with llama3 scaling, explicit head_dim, 3 query heads a KV head.
    "llama3_rope": ({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 320, "hidden_size": 96,
        "intermediate_size": 120, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32,
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                            "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
        "tie_word_embeddings": False, "dtype": "bfloat16"}, torch.bfloat16, 83, 1),
    # Multi-query, tied embeddings, linear scaling in the old spelling, f16; several eos ids.
    "llama_mqa_tied": ({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 509, "hidden_size": 96,
        "intermediate_size": 112, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64,
        "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.0}, "eos_token_id": [2, 3],
        "tie_word_embeddings": True, "torch_dtype": "float16"}, torch.float16, 40, 1),
    # Window shorter than the prompt, 5 query heads a KV head, widths that fill no vector register, f32 in three shards.
    "mistral_window": ({
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 203, "hidden_size": 72,
        "intermediate_size": 88, "num_hidden_layers": 2, "num_attention_heads": 10, "num_key_value_heads": 2, "head_dim": 32,
        "rope_theta": 10000.0, "sliding_window": 21, "tie_word_embeddings": False, "torch_dtype": "float32"},
        torch.float32, 70, 3),
    # Biases, tied, head_dim = hidden / heads, one full layer before two sliding ones.
    "qwen2_bias": ({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 320, "hidden_size": 128,
        "intermediate_size": 72, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
        "rope_theta": 1000000.0, "use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16"}, torch.bfloat16, 50, 1),
    # q/k norm, head_dim 128 that is not hidden / heads.
    "qwen3_qknorm": ({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 320, "hidden_size": 64,
        "intermediate_size": 144, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 128,
        "rope_theta": 1000000.0, "use_sliding_window": False, "attention_bias": False,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16"}, torch.bfloat16, 45, 1),
}


def randomize(model, seed, tied):
    """Weights with enough spread that attention is peaked, positions matter and logits are a few units apart."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=g)
        if name.endswith("norm.weight"):
            p.data = (4.0 if tied and name == "model.norm.weight" else 1.0) * (1.0 + 0.25 * noise)
        elif name.endswith(".bias"):
            p.data = 0.5 * noise
        elif "embed_tokens" in name:
            # Small beside the layers' outputs: a tied head would otherwise repeat the last token for ever.
            p.data = 0.1 * noise
        else:
            gain = 1.6 if "q_proj" in name or "k_proj" in name else 1.0
            gain = 3.0 if "lm_head" in name else gain
            p.data = gain * noise / p.shape[1] ** 0.5


def save(model, config, dtype, shards, out):
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / "config.json").write_text(json.dumps({**COMMON, **config}, indent=2) + "\n")
    tied = config["tie_word_embeddings"]
    tensors = {n: t.detach().to(dtype).contiguous() for n, t in model.state_dict().items() if not (tied and "lm_head" in n)}
    if shards == 1:
        save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map = {}
    for i in range(shards):
        part = names[i * len(names) // shards:(i + 1) * len(names) // shards]
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        save_file({n: tensors[n] for n in part}, out / file, metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


@torch.no_grad()
def greedy(model, prompt):
    """Whole-sequence forward for every step: no cache whose rules could differ from ours. None at a near-tie."""
    ids, tokens, steps, prompt_logits = list(prompt), [], [], None
    for _ in range(STEPS):
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()
        prompt_logits = logits if prompt_logits is None else prompt_logits
        steps.append(logits[-1])
        top = logits[-1].topk(2).values
        if float(top[0] - top[1]) < MIN_MARGIN:
            return None
        tokens.append(int(logits[-1].argmax()))
        ids.append(tokens[-1])
    return prompt_logits, torch.stack(steps), tokens


def window_matters(out, config, prompt, logits):
    """A golden that would pass without the sliding window proves nothing."""
    if not config.get("sliding_window"):
        return True
    plain = AutoConfig.from_pretrained(out, sliding_window=4096)
    full = AutoModelForCausalLM.from_pretrained(out, config=plain, dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        return float((full(input_ids=torch.tensor([prompt])).logits[0] - logits).abs().max()) > 0.1


def make(name):
    config, dtype, length, shards = MODELS[name]
    out = ROOT / name
    for seed in range(200):
        torch.manual_seed(seed)
        hf = AutoConfig.for_model(config["model_type"], **{k: v for k, v in {**COMMON, **config}.items() if k != "model_type"})
        model = AutoModelForCausalLM.from_config(hf)
        randomize(model, seed, config["tie_word_embeddings"])
        save(model, config, dtype, shards, out)
        model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()
        prompt = torch.randint(4, config["vocab_size"], (length,)).tolist()
        result = greedy(model, prompt)
        if result is None or len(set(result[2])) < MIN_DISTINCT:
            continue
        prompt_logits, steps, tokens = result
        assert window_matters(out, config, prompt, prompt_logits), name
        positions = [0, 1, length // 2, length - 1]
        save_file({"prompt": torch.tensor(prompt), "positions": torch.tensor(positions),
                   "prompt_logits": prompt_logits[positions].contiguous(), "tokens": torch.tensor(tokens),
                   "step_logits": steps.contiguous()}, out / "expected.safetensors")
        size = sum(f.stat().st_size for f in out.iterdir())
        print(f"{name}: seed {seed}, {len(set(tokens))} tokens, logits std {float(steps.std()):.2f}, "
              f"{size // 1024} KiB")
        return
    raise SystemExit(f"{name}: no seed without near-ties")


for model_name in sys.argv[1:] or MODELS:
    make(model_name)
