#!/usr/bin/env python3
"""Make the golden data of tests/text_regex: patterns, texts and what the reference finds.

    regex_corpus.py --out tests/text_regex/golden [--seed N --patterns N] [--check PROGRAM]

Needs the `tokenizers` package (its patterns run on Oniguruma). Writes cases.jsonl: {"p": pattern, "t": [[text, [begin,
end, ...]], ...]}, offsets in bytes, empty matches left out (a pre-tokenizer never sees them); {"p": pattern} alone is one
that the reference refuses. The patterns of published tokenizers come first, then random ones.
--check runs PROGRAM (reads lines [pattern, [texts]], answers {"m": [[begin, end, ...]]} or {"e": message}) instead.
"""
import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys

import tokenizers
from tokenizers import Regex, pre_tokenizers

PUBLISHED = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\d{1,3}(?=(?:\d{3})*\b)",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[\p{L}&&[^\p{Han}]]+", r"\p{Han}+", r"\w+", r"\w+|[^\w\s]+", r"(?=(\d{3})+(?!\d))", r" ?[^(\s|.,!?…。，、।۔،)]+", r" {2,}", "▁+",
    r"\p{Script=Han}+", r"\p{Katakana}", r"\p{Arabic}", r"\p{L}", r"\p{N}", r"[[:punct:]]", r"[[:alpha:]]+", r"(?i)\bthe\b", r"\AX|X\z",
]
SINGLE = r"""a b s k é 1 中 \n . \s \S \d \D \w \W \p{L} \p{N} \P{L} \p{Lu} \p{Ll} \p{P} \p{S} \p{M} \p{Han} \p{^Han} \p{Hiragana} \p{Katakana} \p{Latin} \p{Cyrillic}
\p{Alpha} \p{Punct} \p{Word} \p{Space} \p{Upper} \p{Lower} \h \x41 \x{4e2d} \u00e9 \. \' ' - , _ ] } & ~ \p{Emoji} \p{Extended_Pictographic} \p{Cf} \p{Nd} \p{No} \p{Zs}
\p{Sc} \p{C} \p{Inherited} \p{Common} ſ K""".split() + [" "]
PLACES = r"^ $ \b \B \A \z \Z".split()
MEMBERS = r"""a-z A-Z 0-9 a b s k é 中 一-龥 \s \S \w \W \d \p{L} \P{L} \p{N} \p{P} \p{S} \p{Han} \p{^Han} [:alpha:] [:punct:] [:space:] [:word:] [:^digit:] [:upper:] [:alnum:]
[:print:] \n \r . ! _ ' & ぁ-ん à-ö \x{300}-\x{36f} \p{M} \p{Lu} -""".split()
CHARACTERS = list("aabbsskkSKAB  11223\n\n\r\t'',.-_!&~]}é中好。「カあöñ²½①Ⅷ٣ſK") + """\u0301 \u200d \ufe0f 🩷 😀 👍🏽 ß İ Ж ж \u0378 \U00010d50 \U0001d2c1 \u1c89 \U00031350
\U00016ea0 한 ๒ \u061d \u0e33 ﬁ ǅ \ufeff \U000e0061 \ue000""".split() + ["\u3000", "\u00a0", "\u0085", "\u2028", "\x0b", "\x1c"]


class Writer:
    def __init__(self, rng):
        self.rng = rng

    def members(self, depth=0):
        rng, s = self.rng, "[" + ("^" if self.rng.random() < .35 else "")
        for k in range(rng.choice([1, 1, 1, 2])):
            s += "&&" if k else ""
            for _ in range(rng.randint(1, 4)):
                s += self.members(depth + 1) if depth < 2 and rng.random() < .15 else rng.choice(MEMBERS)
        return s + "]"

    def term(self, depth):
        rng, r = self.rng, self.rng.random()
        if r < .72 or (r >= .78 and depth == 3):
            s = rng.choice(SINGLE) if r < .5 else self.members()
        elif r < .78:
            return rng.choice(PLACES)
        else:
            opening = rng.choice(["(?:", "(", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?m:", "(?<n>", "(?-i:"])
            s = opening + self.alternation(depth + 1) + ")"
            if opening[-1] in "=!":
                return s
        if rng.random() < .4:
            s += rng.choice(["*", "+", "?", "{1,3}", "{2}", "{2,}", "{,2}", "{0,1}"]) + rng.choice(["", "", "", "?", "+"])
        return s

    def alternation(self, depth=0):
        branch = lambda: ("(?i)" if self.rng.random() < .05 else "") + "".join(self.term(depth) for _ in range(self.rng.randint(1, 4)))
        return "|".join(branch() for _ in range(self.rng.choice([1, 1, 2, 3])))

    def text(self):
        rng = self.rng
        if rng.random() < .2:
            areas = [(1, 0x2ff), (0x300, 0x1fff), (0x2000, 0x33ff), (0x1f300, 0x1faff), (0xa000, 0xabff), (0x10000, 0x11fff), (1, 0xd7ff)]
            return "".join(chr(rng.randint(*rng.choice(areas))) for _ in range(rng.randint(1, 12)))
        return "".join(rng.choice(CHARACTERS) * rng.choice([1, 1, 1, 2, 3]) for _ in range(rng.randint(1, 14)))


def compiled(pattern):
    try:
        return pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    except Exception:
        return None


def found(split, text):
    try:
        places = [place for _, place in split.pre_tokenize_str(text)]
    except BaseException as e:  # a panic: the reference has a limit on backtracking too
        if type(e).__name__ != "PanicException":
            raise
        return None
    return [len(text[:at].encode()) for begin, end in places if end > begin for at in (begin, end)]


def check(program, jobs):
    lines = "".join(json.dumps(job) + "\n" for job in jobs)
    answers = subprocess.run([program], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    counts = collections.Counter()
    for (pattern, texts), answer in zip(jobs, map(json.loads, answers), strict=True):
        split = compiled(pattern)
        if split is None or "e" in answer:
            kind = ("both refuse" if "e" in answer else "ACCEPTED HERE ONLY") if split is None else "refused here only"
            counts[kind] += 1
            if kind == "ACCEPTED HERE ONLY":
                print(kind, pattern)
            continue
        for text, ours in zip(texts, answer["m"]):
            theirs = found(split, text)
            if theirs is None:
                continue
            counts["same" if theirs == ours else "DIFFERENT"] += 1
            if theirs != ours:
                print("DIFFERENT", repr(pattern), repr(text), theirs, ours)
    print(dict(counts))
    return 1 if counts["DIFFERENT"] or counts["ACCEPTED HERE ONLY"] else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--patterns", type=int, default=450)
    ap.add_argument("--check", metavar="PROGRAM")
    args = ap.parse_args()
    writer = Writer(random.Random(args.seed))
    patterns = PUBLISHED + [writer.alternation() for _ in range(args.patterns)]
    jobs = [(p, [writer.text() for _ in range(30 if p in PUBLISHED else 6)]) for p in patterns]
    if args.check:
        return check(args.check, jobs)
    rows = [{"reference": f"tokenizers {tokenizers.__version__}"}]
    for pattern, texts in jobs:
        split = compiled(pattern)
        rows.append({"p": pattern} | ({"t": [[t, f] for t in texts if (f := found(split, t)) is not None]} if split else {}))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "cases.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
