#!/usr/bin/env python3
"""Makes tests/engine/golden/directories.json: model directories of many layouts, and what transformers makes of them in f32.

    python tools/golden/engine_directories.py     (needs torch, transformers, safetensors)

Run it once with each version of transformers that counts (4.57 and 5): a run replaces its own version's results and keeps
the others'. A result is the logits at the prompt's last position, or in words why transformers refuses.

The weights are not stored: they follow from each tensor's name (see `values`), and tests/engine/directories.cpp builds the
same ones. What a case may hold:
    set, unset   fields of config.json to set, to remove
    biases       config.json asks for biases, so the checkpoint has them
    prefix       what stands for "model." in tensor names
    type         F32, BF16 or F16
    rows         of embedding and head, where it is not vocab_size
    without      tensors left out
    extra        more tensors: name -> [type, shape, "zeros" or "values"]
    same_head    the checkpoint has an lm_head.weight equal to the embedding
    own_head     ... that differs from it
    layout       single (default), shards, subfolder (shards below the directory), both (a single file and an index), links
    generation   generation_config.json
    refused      Sluice must refuse, with these words
    notes        Sluice must say that it ignores this
    follows      where versions differ: the major version that Sluice follows
    same_as      no version loads it; Sluice computes what it does for this case
"""
import json
import os
import pathlib
import re
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/engine/golden/directories.json"
TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64, "I64": torch.int64,
         "BOOL": torch.bool, "U8": torch.uint8}

BASE = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5, "hidden_act": "silu", "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1,
    "eos_token_id": 2, "torch_dtype": "float32"}
PROMPT = [(7 * i * i + 3 * i + 5) % 48 for i in range(24)]

MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None}
QWEN2 = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 8}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
INV_FREQ = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": ["F32", [4], "values"] for i in range(2)}

CASES = {
    "plain": {},
    # Names and types of config.json.
    "architectures_missing": {"unset": ["architectures"]},
    "architectures_null": {"set": {"architectures": None}},
    "base_class_named": {"set": {"architectures": ["LlamaModel"]}},
    "model_type_missing": {"unset": ["model_type"], "same_as": "plain"},
    "architecture_and_type_disagree": {"set": {"architectures": ["Qwen2ForCausalLM"]}, "refused": "model_type"},
    "architecture_unknown": {"set": {"architectures": ["FalconForCausalLM"], "model_type": "falcon"}, "refused": "Falcon"},
    "head_is_no_lm": {"set": {"architectures": ["LlamaForSequenceClassification"]},
                      "extra": {"score.weight": ["F32", [2, 32], "values"]}, "without": ["lm_head.weight"],
                      "refused": "LlamaForSequenceClassification"},
    "dtype_new_name": {"set": {"dtype": "bfloat16"}, "unset": ["torch_dtype"], "type": "BF16"},
    "dtype_with_torch": {"set": {"torch_dtype": "torch.bfloat16"}, "type": "BF16", "follows": "5"},
    "dtype_null": {"set": {"torch_dtype": None}, "type": "F16"},
    "dtype_auto": {"set": {"torch_dtype": "auto"}, "follows": "5"},
    "dtype_half_stored_as_float": {"set": {"torch_dtype": "float16"}},
    "swish": {"set": {"hidden_act": "swish"}},
    "gelu": {"set": {"hidden_act": "gelu"}, "refused": "hidden_act"},
    "head_dim_null": {"set": {"head_dim": None}},
    "kv_heads_missing": {"unset": ["num_key_value_heads"]},
    "rope_theta_whole": {"set": {"rope_theta": 500}},
    "generation_config_with_more": {"generation": {"eos_token_id": [2, 5], "pad_token_id": 3, "temperature": 0.6, "top_p": 0.9,
                                                   "do_sample": True, "transformers_version": "4.40.0", "anything": {"x": []}}},
    "eos_beyond_vocabulary": {"set": {"eos_token_id": 48}, "notes": "eos_token_id"},
    "eos_list_beyond_vocabulary": {"set": {"eos_token_id": [2, 4000]}, "notes": "eos_token_id"},
    "eos_minus_one": {"set": {"eos_token_id": -1}, "notes": "eos_token_id"},
    "eos_none": {"set": {"eos_token_id": None, "bos_token_id": None}},
    # The family's own defaults and windows.
    "mistral_no_window": {"set": MISTRAL},
    "mistral_window": {"set": {**MISTRAL, "sliding_window": 6}},
    "mistral_layer_types": {"set": {**MISTRAL, "sliding_window": 6, "layer_types": ["full_attention", "sliding_attention"]},
                            "refused": "layer_types"},
    "llama_layer_types_plain": {"set": {"layer_types": ["full_attention", "full_attention"]}},
    "llama_layer_types_sliding": {"set": {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 6},
                                  "refused": "layer_types"},
    "qwen2": {"set": QWEN2},
    "qwen2_window_null": {"set": {**QWEN2, "use_sliding_window": True, "sliding_window": None, "max_window_layers": 1}},
    "qwen2_window_unused": {"set": {**QWEN2, "use_sliding_window": False, "sliding_window": 6, "max_window_layers": 0}},
    "qwen2_window": {"set": {**QWEN2, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}},
    "qwen2_layer_types": {"set": {**QWEN2, "use_sliding_window": True, "sliding_window": 6,
                                  "layer_types": ["sliding_attention", "full_attention"]}},
    "qwen2_layer_types_without_window": {"set": {**QWEN2, "use_sliding_window": False, "sliding_window": 6,
                                                 "layer_types": ["sliding_attention", "full_attention"]},
                                         "refused": "use_sliding_window"},
    "qwen3": {"set": QWEN3},
    # Biases.
    "llama_attention_bias": {"set": {"attention_bias": True}, "biases": True},
    "llama_mlp_bias": {"set": {"mlp_bias": True}, "biases": True},
    "qwen3_attention_bias": {"set": {**QWEN3, "attention_bias": True}, "biases": True},
    "biases_of_zeros": {"extra": {f"model.layers.{i}.self_attn.{p}_proj.bias": ["F32", [16 if p in "kv" else 32], "zeros"]
                                  for i in range(2) for p in "qkvo"},
                        "notes": "self_attn.q_proj.bias"},
    "biases_the_config_denies": {"extra": {"model.layers.1.self_attn.q_proj.bias": ["F32", [32], "values"]},
                                 "refused": "model.layers.1.self_attn.q_proj.bias"},
    # The head.
    "tied": {"set": {"tie_word_embeddings": True}},
    "tied_with_same_head": {"set": {"tie_word_embeddings": True}, "same_head": True},
    "tied_with_own_head": {"set": {"tie_word_embeddings": True}, "own_head": True, "refused": "tie_word_embeddings"},
    "tied_with_head_only": {"set": {"tie_word_embeddings": True}, "own_head": True, "without": ["model.embed_tokens.weight"],
                            "follows": "5"},
    "untied_without_head": {"without": ["lm_head.weight"], "refused": "lm_head.weight"},
    # Names and types of tensors.
    "no_prefix": {"set": {"tie_word_embeddings": True}, "prefix": ""},
    "no_prefix_but_head": {"prefix": "", "follows": "5"},
    "other_prefix": {"prefix": "language_model.model.", "refused": "language_model.model.embed_tokens.weight"},
    "bf16": {"type": "BF16"},
    "f16": {"type": "F16"},
    "old_inv_freq": {"extra": INV_FREQ},
    "buffers_of_odd_types": {"extra": {"model.embed_positions.position_ids": ["I64", [1, 64], "zeros"],
                                       "model.layers.0.self_attn.rotary_emb.cos_cached": ["F64", [8], "values"],
                                       "model.layers.0.self_attn.masked_bias": ["F32", [], "zeros"]}},
    "extra_heads": {"extra": {"v_head.summary.weight": ["F32", [1, 32], "values"], "score.weight": ["F64", [3, 32], "values"],
                              "flags": ["BOOL", [3], "zeros"]}, "notes": "v_head.summary.weight"},
    "more_layers_than_config": {"set": {"num_hidden_layers": 1}, "extra": {
        "model.layers.1.input_layernorm.weight": ["F32", [32], "values"]}, "refused": "num_hidden_layers"},
    "foreign_part": {"extra": {"model.layers.0.self_attn.q_norm.weight": ["F32", [8], "values"]}, "refused": "q_norm"},
    "weight_scale_without_config": {"extra": {"model.layers.0.mlp.down_proj.weight_scale": ["F32", [1], "values"]},
                                    "refused": "weight_scale"},
    "bias_of_zeros_on_head": {"extra": {"lm_head.bias": ["F32", [48], "zeros"]}, "notes": "lm_head.bias"},
    "padded_rows": {"set": {"vocab_size": 40}, "rows": 48, "refused": "vocab_size"},
    # Files.
    "shards": {"layout": "shards"},
    "shards_in_subfolder": {"layout": "subfolder"},
    "single_beside_index": {"layout": "both"},
    "links": {"layout": "links"},
    # Rotary embeddings.
    "rope_linear": {"set": {"rope_scaling": {"type": "linear", "factor": 2.0}}},
    "rope_llama3": {"set": {"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 16}}},
    "rope_llama3_original_beside": {"set": {"rope_scaling": LLAMA3, "original_max_position_embeddings": 16}, "follows": "5"},
    "rope_llama3_originals_differ": {"set": {"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 16},
                                             "original_max_position_embeddings": 32},
                                     "refused": "original_max_position_embeddings"},
    "rope_yarn": {"set": {"rope_scaling": YARN}},
    "rope_yarn_parameters": {"set": {"rope_parameters": {**YARN, "rope_theta": 5000.0}}, "unset": ["rope_theta"], "follows": "5"},
    "rope_yarn_mistral": {"set": {**MISTRAL, "head_dim": 8, "rope_scaling": {**YARN, "attention_factor": 1.3, "truncate": False}}},
    "rope_yarn_qwen2": {"set": {**QWEN2, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}}},
    "rope_yarn_qwen3": {"set": {**QWEN3, "rope_scaling": {**YARN, "beta_fast": 4.0, "beta_slow": 1.0, "mscale": 1.0,
                                                         "mscale_all_dim": 0.5}}},
    "rope_dynamic": {"set": {"rope_scaling": {"type": "dynamic", "factor": 4.0}}},
    "rope_longrope": {"set": {"rope_scaling": {"type": "longrope", "factor": 4.0, "short_factor": [1.0] * 4,
                                               "long_factor": [2.0] * 4}}, "refused": "longrope"},
    "rope_types_differ": {"set": {"rope_scaling": {"type": "linear", "rope_type": "dynamic", "factor": 2.0}},
                          "refused": "rope_type"},
    "rope_theta_twice": {"set": {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}, "refused": "rope_theta"},
}


def values(name, shape):
    """Multiples of 1/64 between -1 and 1, by name and place; scaled so that each is exact in bf16, f16 and f32."""
    mask = (1 << 64) - 1
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & mask
    count = 1
    for n in shape:
        count *= n
    out = []
    for i in range(count):
        x = (seed + (i + 1) * 0x9E3779B97F4A7C15) & mask
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        x ^= x >> 31
        out.append(((x >> 32) % 127 - 63) / 64)
    t = torch.tensor(out).reshape(shape)
    if name.endswith("norm.weight"):
        return 1 + t / 2
    if name.endswith("bias"):
        return t / 2
    if "embed_tokens" in name or "lm_head" in name:
        return t
    return t / 2 if "q_proj" in name or "k_proj" in name else t / 4


def tensors_of(case, config, shapes):
    embedding = "model.embed_tokens.weight"
    dtype = TYPES[case.get("type", "F32")]
    out = {}
    for name, shape in shapes.items():
        if name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        rows = [case["rows"], *shape[1:]] if "rows" in case and shape[0] == config["vocab_size"] else shape
        out[name] = values(name, rows).to(dtype)
    if case.get("same_head"):
        out["lm_head.weight"] = out[embedding].clone()
    if case.get("own_head"):
        out["lm_head.weight"] = values("lm_head.weight", shapes[embedding]).to(dtype)
    for name in case.get("without", []):
        del out[name]
    for name, (kind, shape, how) in case.get("extra", {}).items():
        t = torch.zeros(shape) if how == "zeros" else values(name, shape)
        out[name] = t.to(TYPES[kind])
    prefix = case.get("prefix", "model.")
    return {prefix + n.removeprefix("model.") if n.startswith("model.") else n: t.contiguous() for n, t in out.items()}


def write(case, config, tensors, out):
    (out / "config.json").write_text(json.dumps(config))
    if "generation" in case:
        (out / "generation_config.json").write_text(json.dumps(case["generation"]))
    layout = case.get("layout", "single")
    if layout in ("single", "both"):
        save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    if layout == "both":
        (out / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    if layout == "links":
        (out / "blobs").mkdir()
        (out / "snapshot").mkdir()
        save_file(tensors, out / "blobs/0123abcd", metadata={"format": "pt"})
        (out / "config.json").rename(out / "blobs/4567cdef")
        os.symlink("../blobs/0123abcd", out / "snapshot/model.safetensors")
        os.symlink("../blobs/4567cdef", out / "snapshot/config.json")
        return out / "snapshot"
    if layout in ("shards", "subfolder"):
        folder = "weights/" if layout == "subfolder" else ""
        (out / folder).mkdir(exist_ok=True)
        names, weight_map = sorted(tensors), {}
        for i in range(2):
            part, file = names[i::2], f"{folder}model-{i + 1:05}-of-00002.safetensors"
            save_file({n: tensors[n] for n in part}, out / file, metadata={"format": "pt"})
            weight_map.update({n: file for n in part})
        (out / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return out


def run(case):
    config = {k: v for k, v in {**BASE, **case.get("set", {})}.items() if k not in case.get("unset", [])}
    # Shapes as transformers sees them, from a configuration without what a case spoils on purpose.
    shape_config = {k: v for k, v in config.items() if k not in ("torch_dtype", "dtype", "rope_scaling", "rope_parameters",
                                                                  "architectures", "model_type", "layer_types")}
    model_type = config.get("model_type", "llama")
    if model_type == "falcon":
        model_type = "llama"
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **shape_config))
    shapes = {n: list(t.shape) for n, t in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as name:
        place = write(case, config, tensors_of(case, config, shapes), pathlib.Path(name))
        try:
            model, info = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, attn_implementation="eager",
                                                               output_loading_info=True)
            if info["missing_keys"]:
                return f"starts at random: {sorted(info['missing_keys'])[:2]}"
            with torch.no_grad():
                logits = model.eval()(input_ids=torch.tensor([PROMPT]), use_cache=False).logits[0, -1]
        except Exception as e:  # whatever transformers raises is its answer
            return f"{type(e).__name__}: {str(e).strip().splitlines()[0] if str(e).strip() else ''}"[:160].replace(name, "DIR")
    return [round(float(x), 5) for x in logits]


version = transformers.__version__.rsplit(".", 1)[0]
old = json.loads(OUT.read_text())["cases"] if OUT.exists() else {}
cases = {}
for name, case in CASES.items():
    results = {v: r for v, r in old.get(name, {}).get("transformers", {}).items() if v != version}
    results[version] = run(case)
    cases[name] = {**case, "transformers": dict(sorted(results.items()))}
    print(f"{name}: {results[version] if isinstance(results[version], str) else 'loads'}", file=sys.stderr)
text = json.dumps({"config": BASE, "prompt": PROMPT, "cases": cases}, indent=1)
# Lists of numbers on one line each.
text = re.sub(r"\[\s+(-?\d[^\[\]\"{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]", text)
OUT.write_text(text + "\n")
