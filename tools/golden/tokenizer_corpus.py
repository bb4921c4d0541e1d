#!/usr/bin/env python3
"""Make the golden data of tests/text_tokenizer: small tokenizers and what the reference encodes with them.

    tokenizer_corpus.py --out tests/text_tokenizer/golden [--check]

Needs the `tokenizers` package (the reference). Trains three vocabularies on texts every Debian 12 with Python has
and on the sentences below, dresses them as four published families (the fourth is the third with Metaspace), and
writes DIR/variants.jsonl (ways to split of other families, with the first vocabulary) and for each DIR/<name>/tokenizer.json and DIR/<name>/cases.jsonl:

    {"s": text} or {"b": base64 of bytes that are not UTF-8}
      "i": ids;  "p": ids with special tokens left as text, where they differ
      "d": decode(ids) where it is not the text;  "k": decode with special tokens kept, where it differs from that
    {"i": ids, "d": ...} a decode alone, of ids that need not spell UTF-8

--check compares instead of writing: it says whether another version of the reference would give other ids.
"""
import argparse
import base64
import json
import pathlib
import random
import sys
import sysconfig

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# The opening of the Universal Declaration of Human Rights and plain sentences of our own.
SENTENCES = """\
All human beings are born free and equal in dignity and rights.
Alle Menschen sind frei und gleich an Würde und Rechten geboren. Straße, Größe, Übermaß.
Tous les êtres humains naissent libres et égaux en dignité et en droits. L’œuvre, ça va, naïf.
Todos los seres humanos nacen libres e iguales en dignidad y derechos. ¿Qué pasó? ¡Año nuevo!
Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Coração, avô, pão.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Zażółć gęślą jaźń.
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Příliš žluťoučký kůň.
Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Árvíztűrő tükörfúrógép.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. İstanbul'da ışık, DİYARBAKIR.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.
Все люди рождаются свободными и равными в своем достоинстве и правах. Ёлка, подъезд.
Всі люди народжуються вільними і рівними у своїй гідності та правах. Їжак, ґанок.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Σίσυφος.
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. שָׁלוֹם עוֹלָם
يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. السَّلَامُ عَلَيْكُمْ ١٢٣٤٥
تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند. ۱۲۳
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। १२३४
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்.
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ๑๒๓
人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。
人人生而自由，在尊嚴和權利上一律平等。繁體中文測試：「引號」、頓號，全形１２３ＡＢＣ。
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。カタカナ、ｶﾀｶﾅ、ひらがな。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 한국어 ㄱㄴㄷ
ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.
Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։
ሰብዓዊ ፍጡር ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።
I can't, won't, shouldn't've; they're here, it's Dave's, we'll see, I'd say I'M SURE YOU'RE RIGHT, IT'S, THEY'LL.
""".splitlines()

CODE = """\
def f(x: int, *args, **kw) -> dict[str, list[int]]:\n    \"\"\"Doc.\"\"\"\n    return {k: [v] for k, v in kw.items() if v != x}\n
for (std::size_t i = 0; i < v.size(); ++i) { sum += v[i] * 0x1F; } // done\n
\tif (ptr->next != NULL && !(flags & ~MASK)) {\n\t\tgoto out;\n\t}\r\n
SELECT a.id, COUNT(*) FROM "t" a LEFT JOIN b ON a.id=b.a_id WHERE a.x >= 3.14e-10 GROUP BY 1;
<div class="x" id='y'>&nbsp;<a href="https://example.org/a?b=c&d=%20e#f">link</a></div>
{"key": [1, 2.5, -3e8, null, true], "nested": {"a\\\\b": "\\u00e9\\n"}}
curl -sS -H 'Content-Type: application/json' http://[::1]:8000/v1/models | jq '.data[].id'
let mut s = String::from("héllo"); println!("{:?}", &s[..1]); // => "h"
#include <vector>\n#define MAX(a,b) ((a)>(b)?(a):(b))\n\n\n\nint main(void){return 0;}\n
$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$ and \\alpha \\leq \\beta
git commit -m "fix: don't drop the 1st/2nd token" --author='A B <a.b@c.d>' && echo $? || exit 1
""".split("\n\n") + ["a_b__c___d", "camelCaseToSnake", "SCREAMING_CASE", "x=1;y=2", "!!!???", "...", "--flag=value", "#!/bin/sh", "C:\\Users\\x", "~/.config", "a@b.c", "@@@", "***bold***", "1+1=2", "i++", "->*", "<=>", "::", "»«", "“quoted”", "‘s", "’s", "it’s"]

EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇯🇵🇫🇷", "1️⃣", "❤️", "❤", "🤷🏿‍♀️", "👨🏻‍💻", "🧑‍🚀", "☃️", "✨", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🫠", "👁️‍🗨️", "#️⃣", "©️", "™"]
SPACES = [" ", "  ", "    ", "\t", "\n", "\r\n", "\n\n", " \n", "\n ", "\u00a0", "\u2003", "\u3000", "\u2028", "\u2029", "\u0085", "\u180e", "\u200b", "\ufeff", "\u1680", "\u202f", "\u205f", "\x0b", "\x0c", "\x1c", "\x1f", "\r"]
MARKS = ["\u0300", "\u0301", "\u0308", "\u0323", "\u0327", "\u0328", "\u0331", "\u0345", "\u035c", "\u05b0", "\u05bc", "\u064b", "\u0651", "\u093c", "\u0e49", "\u3099", "\u309a", "\u20dd", "\ufe0f", "\u1161", "\u11a8"]
COMPOSING = ["Å", "\u212b", "\u2126", "\u0958", "\ufb1d", "\uf900", "\u2f800", "\u1e9b\u0323", "ﬁ", "ﬃ", "Ⅷ", "①", "²", "½", "㎏", "\ufdfa", "\u1112\u1161\u11ab", "가", "각", "\u0340", "\u0344", "\u0f43", "\U0001d15e", "ǆ", "ß", "ẞ", "ſ", "K", "'ſ", "'S", "'Ll", "x'ſy", "ı", "İ"]
DIGITS = ["0", "1", "12", "123", "1234", "12345678901234567890", "3.14159", "1,000,000", "١٢٣", "१२३४", "１２３", "²³", "Ⅻ", "½¾", "0x7f", "1e-9", "2024-01-31T12:34:56Z", "+49 (0)30 123456", "万五千", "1st 2nd", "𝟙𝟚𝟛𝟜", "৪৫৬৭", "⑴⑵"]
BROKEN = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\x80", b"\x80", b"\xbf\xbf", b"\xfe\xff", b"\xf8\x88\x80\x80\x80", b"\xe1\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", b"\xf1\xbf\xbf", b"\xc3(", b"\xe2(\xa1"]
ADDED_MIX = ["<|bos|>", "<|eot|>", "<|start|>", "<|star", "<|start|", "<think>", "</think>", "<mask>", " <mask> ", "tool", "tools", "retool", "tool.", "<|eot|><|eot|>", "<s>", "</s>", "<unk>", "<0x41>", "▁", "▁▁", "Ġ", "<|BOS|>", "<THINK>"]


def training_text():
    out = pathlib.Path("/usr/share/common-licenses/Apache-2.0").read_text().splitlines(keepends=True)
    lib = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for name in ("textwrap", "heapq", "bisect", "json/decoder", "string", "collections/__init__", "statistics"):
        out += (lib / f"{name}.py").read_text().splitlines(keepends=True)
    return out + (SENTENCES + CODE) * 6


def strings(rng, prose):
    yield ""
    singles = SENTENCES + CODE + EMOJI + SPACES + COMPOSING + DIGITS + ADDED_MIX
    yield from singles
    for mark in MARKS:
        yield from (mark, "e" + mark, " " + mark + "a", "क" + mark, mark + mark + "\u0301\u0323")
    words = [w for s in SENTENCES for w in s.split()] + [w for line in prose for w in line.split()]
    pools = [words, words, EMOJI, SPACES, SPACES, COMPOSING, DIGITS, ADDED_MIX, MARKS]
    for _ in range(700):
        yield "".join(rng.choice(rng.choice(pools)) for _ in range(rng.randint(2, 9)))
    for _ in range(250):
        yield " ".join(rng.choice(words) for _ in range(rng.randint(1, 14)))
    for _ in range(150):
        yield "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 7))) + rng.choice(words) + rng.choice(SPACES) * rng.randint(0, 5)
    for _ in range(150):
        yield "".join(rng.choice("eaoAクは가क") + "".join(rng.choices(MARKS, k=rng.randint(0, 4))) for _ in range(rng.randint(1, 4)))
    for _ in range(150):
        yield rng.choice(words) + "".join(rng.choice(ADDED_MIX) + rng.choice(["", " ", "  ", "\n", "x", "é"]) for _ in range(rng.randint(1, 4)))
    for _ in range(150):  # any assigned-looking code points
        yield "".join(chr(rng.choice([rng.randint(1, 0x2ff), rng.randint(0x300, 0x1fff), rng.randint(0x2000, 0x33ff), rng.randint(0x1f300, 0x1faff), rng.randint(0xe000, 0xffff), rng.randint(0x10000, 0x10ffff)])) for _ in range(rng.randint(1, 8)))
    for line in rng.sample(prose, 250):
        yield line
    yield from ("a" * 300, "ab" * 150, " " * 200, "\n" * 70, "1" * 100, "的" * 120, "👍🏽" * 20, "\u0301\u0316" * 20, "=" * 99, "\t" * 33 + "x")


def broken(rng):
    for b in BROKEN:
        yield from (b, b"ok " + b + b" ok", "é".encode() + b + "日".encode())
    for _ in range(80):
        yield b"".join(rng.choice(BROKEN + [w.encode() for w in SENTENCES[5].split()] + [bytes([rng.randint(0x80, 255)])]) for _ in range(rng.randint(2, 6)))
    whole = " ".join(SENTENCES).encode()
    for _ in range(40):
        at = rng.randrange(len(whole) - 40)
        yield whole[at:at + rng.randint(3, 30)]


def special(*contents):
    return [AddedToken(c, special=True, normalized=False) for c in contents]


def byte_level(pattern, normalizer, size, added):
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(training_text(), trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    tok.add_tokens(added)
    return tok


def llama3():
    tok = byte_level(LLAMA3, None, 1600, special("<|bos|>", "<|eot|>", "<|start|>"))
    bos = tok.token_to_id("<|bos|>")
    tok.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", bos)])])
    spec = json.loads(tok.to_str())
    spec["model"]["ignore_merges"] = True
    # The last merges go, their pieces stay: words that only ignore_merges can reach.
    spec["model"]["merges"] = spec["model"]["merges"][:-40]
    return spec


def qwen2():
    added = special("<|eot|>", "<|start|>") + [
        AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=True), AddedToken("tool", normalized=False, single_word=True),
        AddedToken("<mask>", special=True, normalized=False, lstrip=True, rstrip=True), AddedToken("e\u0301\u0301", normalized=True)]
    return json.loads(byte_level(QWEN2, normalizers.NFC(), 1600, added).to_str())


def llama2():
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    fixed = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    tok.train_from_iterator(training_text(), trainers.BpeTrainer(
        vocab_size=1900, special_tokens=fixed, limit_alphabet=220, show_progress=False))
    spec = json.loads(tok.to_str())
    model = spec["model"]
    model.update(byte_fallback=True, fuse_unk=True, merges=[" ".join(m) for m in model["merges"]])
    spec["added_tokens"] = spec["added_tokens"][:3]
    spec["pre_tokenizer"] = None
    spec["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    spec["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    spec["post_processor"] = {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 1), ("</s>", 2))}}
    return spec


def mistral(spec):
    spec = json.loads(json.dumps(spec))
    spec["normalizer"] = None
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    spec["decoder"]["decoders"] = [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]
    return spec


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
O200K = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

# Other published tokenizers' ways to normalize and split, on the vocabulary of llama3: name, normalizer, pre-tokenizers.
VARIANTS = [
    ("deepseek-v3", None, [split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(
        r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]),
    ("tiny-aya", {"type": "NFC"}, [split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(LLAMA3)]),
    ("kimi-k2", None, [split(r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")]),
    ("o200k", None, [split(O200K)]),
    ("gpt-2", None, [BYTES | {"use_regex": True}]),
    ("falcon", None, [{"type": "Punctuation", "behavior": "Contiguous"}, BYTES | {"use_regex": True}, {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")]),
    ("starcoder", None, [{"type": "Digits", "individual_digits": True}, BYTES | {"use_regex": True}]),
    ("words", {"type": "Lowercase"}, [split(r"\w+|[^\w\s]+", "Removed", True), BYTES | {"add_prefix_space": True}]),
    ("properties", {"type": "NFKC"}, [split(r"\p{Han}+"), split(r"\p{Katakana}|\p{Arabic}", "MergedWithPrevious"), split(r"[[:punct:]]", "MergedWithNext"), split(r"\p{S}", "Contiguous"), BYTES]),
    ("whitespace", {"type": "Strip", "strip_left": True, "strip_right": True}, [{"type": "WhitespaceSplit"}, BYTES]),
    ("whitespace-words", None, [{"type": "Whitespace"}, BYTES]),
]
# One character of each age and kind that the reference's parts disagree about.
AGES = "\u061d \u0a76 \u0c77 \u0c84 \u166d \u1b7d \u2e43 \u2e4f \u2e52 \u2e5d \u1c89 \ua7cb \ua7dc \U00010d50 \U00010d41 \U0001d2c1 \U00016ea0 \U00016eb8 🩷 \U00031350 \U0002ebf0 \u1734 \u19da ² ½ ① \u0378".split()


def variant_spec(base, normalizer, parts):
    if not any(p["type"] == "ByteLevel" for p in parts):
        parts = parts + [BYTES]
    return dict(base, normalizer=normalizer, pre_tokenizer={"type": "Sequence", "pretokenizers": parts}, post_processor=None)


def variant_texts(rng, prose):
    yield from (f"a{c}b {c} {c}{c}" for c in AGES)
    yield from ("1234567 89 abc123 12345,678", "m² ½x H₂O", "好。\n「カ」، س؟ ｶﾅー", "I love it 🩷", "ÀÉ ΣΊΣΥΦΟΣ İi DŽ", "it's IT'S 'ſ don't", "a\u0301\u0323b e\u0301 \u0345")
    yield from rng.sample(list(dict.fromkeys(strings(rng, prose))), 220)


def case(tok, text, extra):
    tok.encode_special_tokens = False
    ids = tok.encode(text, add_special_tokens=False).ids
    row = dict(extra, i=ids)
    tok.encode_special_tokens = True
    plain = tok.encode(text, add_special_tokens=False).ids
    if plain != ids:
        row["p"] = plain
    decoded, kept = tok.decode(ids, skip_special_tokens=True), tok.decode(ids, skip_special_tokens=False)
    if decoded != text:
        row["d"] = decoded
    if kept != decoded:
        row["k"] = kept
    return row


def decode_only(tok, rng, byte_tokens):
    """Random ids: pieces in any order, so byte-level ones need not spell UTF-8."""
    top = tok.get_vocab_size()
    for _ in range(200):
        ids = [rng.randrange(top) for _ in range(rng.randint(1, 8))]
        if byte_tokens:  # ill-formed runs of <0xXX> differ on purpose, see text/tokenizer/detokenizer.h
            ids = [i for i in ids if not 3 <= i < 259] or [300]
        decoded, kept = tok.decode(ids, skip_special_tokens=True), tok.decode(ids, skip_special_tokens=False)
        yield {"i": ids, "d": decoded} | ({"k": kept} if kept != decoded else {})


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--check", action="store_true")
    args = ap.parse_args()
    if args.check:
        specs = {d.name: json.loads((d / "tokenizer.json").read_text()) for d in sorted(args.out.iterdir()) if d.is_dir()}
    else:
        sp = llama2()
        specs = {"llama3": llama3(), "qwen2": qwen2(), "llama2": sp, "mistral": mistral(sp)}
    prose = [line for line in training_text() if line.strip()]
    same = True
    for name, spec in specs.items():
        tok = Tokenizer.from_str(json.dumps(spec))
        folder = args.out / name
        if args.check:
            for line in (folder / "cases.jsonl").read_text().rstrip("\n").split("\n")[1:]:
                row = json.loads(line)
                if "s" not in row and "b" not in row:
                    continue
                text = row["s"] if "s" in row else base64.b64decode(row["b"]).decode(errors="replace")
                same &= case(tok, text, {k: row[k] for k in "sb" if k in row}) == row
            continue
        rng = random.Random(20240607)
        texts = list(dict.fromkeys(strings(rng, prose)))
        raw = list(dict.fromkeys(b for b in broken(rng) if b.decode(errors="replace").encode() != b))
        if name == "mistral":  # the same vocabulary as llama2: fewer strings do
            texts, raw = texts[::3], raw[::3]
        rows = [{"reference": f"tokenizers {tokenizers.__version__}"}]
        rows += [case(tok, t, {"s": t}) for t in texts]
        rows += [case(tok, b.decode(errors="replace"), {"b": base64.b64encode(b).decode()}) for b in raw]
        rows += decode_only(tok, rng, spec["model"].get("byte_fallback"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")))
        (folder / "cases.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows))
        print(name, len(texts), "strings,", len(raw), "broken,", tok.get_vocab_size(), "tokens")
    if not args.check:
        rows = [{"reference": f"tokenizers {tokenizers.__version__}"}]
        for name, normalizer, parts in VARIANTS:
            spec = variant_spec(specs["llama3"], normalizer, parts)
            tok = Tokenizer.from_str(json.dumps(spec))
            texts = list(dict.fromkeys(variant_texts(random.Random(20240608), prose)))
            rows.append({"name": name, "normalizer": spec["normalizer"], "pre_tokenizer": spec["pre_tokenizer"],
                         "cases": [[t, tok.encode(t, add_special_tokens=False).ids] for t in texts]})
        (args.out / "variants.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows))
    if args.check:
        print("same" if same else "different", "under tokenizers", tokenizers.__version__)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
