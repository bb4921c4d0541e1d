#!/usr/bin/env python3
"""Train the tokenizer of sluice-tiny and write the files that never change again.

    make_tokenizer.py --work DIR --out models/sluice-tiny
"""
import argparse
import json
import pathlib

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCAB = 3072
SPECIAL = ["<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>", "<|pad|>",
           "<|reserved_0|>", "<|reserved_1|>", "<|reserved_2|>"]
BASE = VOCAB - len(SPECIAL)
BOS, EOS, IM_START, IM_END, PAD = range(BASE, BASE + 5)
# The split pattern of the Llama-3 family: contractions, words, up to three
# digits, punctuation runs, and white space.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
         r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCAB,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 4096,
    "rope_theta": 100000.0,
    "rope_scaling": None,
    "rms_norm_eps": 1e-05,
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "bos_token_id": BOS,
    "eos_token_id": [EOS, IM_END],
    "pad_token_id": PAD,
    "torch_dtype": "bfloat16",
    "use_cache": True,
}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", type=pathlib.Path, required=True)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    a = ap.parse_args()

    tok = Tokenizer(models.BPE(ignore_merges=True))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=BASE, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    texts = [(a.work / f"corpus/{n}.train.txt").read_text() for n in ("austen", "kjv", "devil", "docs")]
    # Word definitions add modern vocabulary.
    for line in (a.work / "corpus/glosses.tsv").open():
        word, _, tagged, _, gloss = line.rstrip("\n").split("\t")
        if int(tagged) > 0:
            texts.append(f"The {word}: {gloss}.\n")
    tok.train_from_iterator(texts, trainer)
    assert tok.get_vocab_size() == BASE
    tok.add_special_tokens(SPECIAL)
    tok.post_processor = processors.TemplateProcessing(
        single="<|bos|> $A", pair="<|bos|> $A <|bos|>:1 $B:1", special_tokens=[("<|bos|>", BOS)])
    assert tok.token_to_id("<|im_end|>") == IM_END
    a.out.mkdir(parents=True, exist_ok=True)
    tok.save(str(a.out / "tokenizer.json"))

    def dump(name, obj):
        (a.out / name).write_text(json.dumps(obj, indent=2) + "\n")

    dump("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|bos|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "model_max_length": 4096,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(BASE + i): {"content": s, "lstrip": False, "normalized": False, "rstrip": False,
                            "single_word": False, "special": True}
            for i, s in enumerate(SPECIAL)},
        "chat_template": TEMPLATE,
    })
    dump("generation_config.json", {
        "bos_token_id": BOS, "eos_token_id": [EOS, IM_END], "pad_token_id": PAD,
        "do_sample": False, "max_new_tokens": 256})
    dump("config.json", CONFIG)


if __name__ == "__main__":
    main()
