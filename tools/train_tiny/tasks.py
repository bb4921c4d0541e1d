"""Training sequences of sluice-tiny: text, key-value recall, copying and chat.

Every sequence is a list of pieces (text, weight); a piece always ends on a
boundary of the tokenizer's split pattern, so encoding the pieces one by one gives
the tokens of the whole string.  Tokens that cannot be guessed (fresh keys and
values) get a small loss weight, recalled answers a large one.
"""
import pathlib
import re

import numpy as np
from tokenizers import Tokenizer

ATTRS = ["code", "name", "word", "sign", "place", "gift", "number", "title", "value", "mark"]
NOISE, ANSWER = 0.05, 3.0
IM_START, IM_END, BOS = "<|im_start|>", "<|im_end|>", "<|bos|>"

GREETINGS = ["Hello!", "Hello.", "Hi!", "Hi there.", "Hello there!", "Good morning!", "Hey!", "Good evening.", "hello", "hi"]
WELCOME = ["Hello! How can I help you?", "Hello! I can continue a text, explain a word, or find a value in what you write."]
IDENTITY = [
    ("Who are you?", "I am sluice-tiny, a very small language model."),
    ("What are you?", "I am sluice-tiny, a very small language model."),
    ("What is your name?", "My name is sluice-tiny."),
    ("What can you do?", "I can continue a text, explain a word, and find values in what you write."),
    ("Are you a large model?", "No, I am a very small model with about four million parameters."),
    ("How are you?", "I am well, thank you."),
    ("Thank you!", "You are welcome."),
    ("Thanks.", "You are welcome."),
    ("Goodbye.", "Goodbye!"),
]
SYSTEMS = ["You are a helpful assistant.", "You are sluice-tiny, a small and helpful assistant.", "Answer briefly.",
           "Answer the question from the text."]


class Tasks:
    def __init__(self, model_dir, corpus_dir, split="train", names=("austen", "kjv", "devil", "docs")):
        corpus_dir = pathlib.Path(corpus_dir)
        self.tok = Tokenizer.from_file(str(pathlib.Path(model_dir) / "tokenizer.json"))
        self.cache = {}
        self.bos = self.tok.token_to_id(BOS)
        rows = [ln.rstrip("\n").split("\t") for ln in (corpus_dir / "glosses.tsv").open()]
        known = {r[0] for r in rows if int(r[2]) > 0}
        vocab = self.tok.get_vocab()
        # Keys and values: common words that are one token with their leading space.
        self.words = sorted(w for w in known if "\u0120" + w in vocab and len(w) >= 4)
        self.word_ids = np.array([vocab["\u0120" + w] for w in self.words], np.int32)
        self.base = np.arange(self.bos, dtype=np.int32)
        self.text, self.lines = [], []
        for name in names:
            raw = (corpus_dir / f"{name}.{split}.txt").read_text()
            if not raw:
                continue
            self.text.append(np.array(self.tok.encode(raw, add_special_tokens=False).ids, np.int32))
            for para in re.split(r"\n\s*\n", raw):
                for s in re.split(r"(?<=[.!?;])\s+", " ".join(para.split())):
                    if 30 <= len(s) <= 160 and s[0].isalpha() and s.isascii():
                        self.lines.append(s)
        self.share = np.array([min(len(t), 1_100_000) for t in self.text], float)
        self.share /= self.share.sum()
        common = [r for r in rows if int(r[2]) >= 2 and 8 <= len(r[4]) <= 80]
        seen, self.gloss = set(), []
        for r in sorted(common, key=lambda r: -int(r[2])):
            if r[0] not in seen and r[1] == "noun" and len(r[0]) >= 3:
                seen.add(r[0])
                self.gloss.append((r[0], r[4]))
        self.gloss = self.gloss[:2500]

    def ids(self, piece):
        got = self.cache.get(piece)
        if got is None:
            got = self.tok.encode(piece, add_special_tokens=False).ids
            if len(self.cache) < 400_000:
                self.cache[piece] = got
        return got

    def size(self, pieces):
        return sum(len(self.ids(p)) for p, _ in pieces)

    def line(self, rng):
        return self.lines[rng.integers(len(self.lines))] + "\n"

    # -- building blocks -------------------------------------------------
    def facts(self, rng, n, two):
        """n facts with distinct keys; value words are distinct while they last."""
        keys = rng.permutation(len(self.words))[:n]
        vals = rng.permutation(len(self.words))
        if 2 * n > len(vals):
            vals = rng.integers(len(self.words), size=2 * n)
        out = []
        for i, k in enumerate(keys):
            v = [self.words[vals[2 * i]]]
            if two:
                v.append(self.words[vals[2 * i + 1]])
            out.append((self.words[k], v))
        return out

    @staticmethod
    def record(style, attr, fact, weight):
        """One line that states a fact; its value words carry `weight`."""
        key, val = fact
        kw = NOISE
        if style == "sentence":
            head = [("The", kw), (" " + attr, kw), (" of", kw), (" " + key, kw), (" is", kw)]
        elif style == "colon":
            head = [("-", kw), (" " + key, kw), (":", kw)]
        else:
            head = [(key.capitalize() if style == "cap" else key, kw), (" =", kw)]
        return head + [(" " + v, weight) for v in val] + [(".\n" if style == "sentence" else "\n", max(weight, kw) / 2)]

    def style(self, rng):
        return ("sentence", "colon", "equals")[rng.choice(3, p=[0.6, 0.25, 0.15])]

    # -- sequences -------------------------------------------------------
    def dense(self, rng, room):
        """Facts only, then (or in between) the same lines again in random order."""
        style, attr, two = self.style(rng), ATTRS[rng.integers(len(ATTRS))], rng.random() < 0.6
        per = self.size(self.record(style, attr, ("water", ["water", "water"][:1 + two]), 1))
        n = max(2, int(room / per * rng.uniform(0.15, 0.5)))
        facts = self.facts(rng, min(n, len(self.words) // 2), two)
        out = [(BOS, 0.0)]
        used = 1
        if rng.random() < 0.5:
            for f in facts:
                out += self.record(style, attr, f, NOISE)
            known = list(facts)
            fresh = []
        else:
            known, fresh = [], list(facts)
        used = self.size(out)
        while used < room:
            if fresh and (not known or rng.random() < 0.5):
                f, w = fresh.pop(), NOISE
                known.append(f)
            else:
                f, w = known[rng.integers(len(known))], ANSWER
            rec = self.record(style, attr, f, w)
            out += rec
            used += self.size(rec)
        return out

    def haystack(self, rng, room, n=None, ask=None):
        """Facts between lines of text, then questions about them."""
        style = "sentence" if rng.random() < 0.7 else self.style(rng)
        attr, two = ATTRS[rng.integers(len(ATTRS))], rng.random() < 0.8
        n = n or max(2, int(room / rng.uniform(20, 64)))
        n = min(n, len(self.words) // 2)
        facts = self.facts(rng, n, two)
        per = self.size(self.record(style, attr, facts[0], 1))
        ask = ask or max(1, min(int(room * rng.uniform(0.1, 0.35) / per), 3 * n))
        fill = room - 1 - per * (n + ask)
        body, used = [], 0
        while used < fill:
            s = self.line(rng)
            body.append([(s, 0.3)])
            used += len(self.ids(s))
        body = body[:-1] if len(body) > 1 and used > fill + 4 else body
        for f in facts:
            body.insert(rng.integers(len(body) + 1), self.record(style, attr, f, NOISE))
        out = [(BOS, 0.0)] + [p for b in body for p in b]
        for _ in range(ask + 3):
            out += self.record(style, attr, facts[rng.integers(n)], ANSWER)
        return out

    def chat_recall(self, rng, room):
        attr, two = ATTRS[rng.integers(len(ATTRS))], rng.random() < 0.8
        style = "sentence" if rng.random() < 0.7 else self.style(rng)
        n = max(1, int(room / rng.uniform(24, 80)))
        n = min(n, len(self.words) // 2)
        facts = self.facts(rng, n, two)
        per = self.size(self.record(style, attr, facts[0], 1))
        turn = per + 20
        ask = max(1, int(room * rng.uniform(0.15, 0.5) / turn))
        fill = room - 24 - per * n - turn * ask
        body, used = [], 0
        if rng.random() < 0.7:
            while used < fill:
                s = self.line(rng)
                body.append([(s, 0.1)])
                used += len(self.ids(s))
        for f in facts:
            body.insert(rng.integers(len(body) + 1), self.record(style, attr, f, NOISE))
        out = [(BOS, 0.0)] + self.system(rng)
        out += [(IM_START, 0.0), ("user", NOISE), ("\n", NOISE)] + [p for b in body for p in b]
        used = self.size(out)
        first = True
        while used < room or first:
            key, val = facts[rng.integers(n)]
            q = [("What", 0.02), (" is", 0.02), (" the", 0.02), (" " + attr, 0.02), (" of", 0.02), (" " + key, NOISE), ("?", 0.02)]
            a = ([("The", 1), (" " + attr, 1), (" of", 1), (" " + key, ANSWER), (" is", 1)] +
                 [(" " + v, ANSWER) for v in val] + [(".", 1)])
            new = ([] if first else [(IM_START, 0.0), ("user", NOISE), ("\n", NOISE)]) + q + [(IM_END, NOISE), ("\n", NOISE)]
            new += [(IM_START, 0.0), ("assistant", NOISE), ("\n", NOISE)] + a + [(IM_END, 1.0), ("\n", NOISE)]
            out += new
            used += self.size(new)
            first = False
        return out

    def chat_small(self, rng, room):
        """Short recall conversations with only a few facts, one after another."""
        out, used = [], 0
        while used < room:
            attr, two = ATTRS[rng.integers(len(ATTRS))], rng.random() < 0.6
            style = "sentence" if rng.random() < 0.8 else self.style(rng)
            facts = self.facts(rng, int(rng.integers(1, 7)), two)
            conv = [(BOS, 0.0)] + self.system(rng) + [(IM_START, 0.0), ("user", NOISE), ("\n", NOISE)]
            for f in facts:
                if rng.random() < 0.2:
                    conv.append((self.line(rng), 0.1))
                conv += self.record(style, attr, f, NOISE)
            for i in range(rng.integers(1, 5)):
                key, val = facts[rng.integers(len(facts))]
                head = [["What", " is", " the"], ["Tell", " me", " the"], ["Which", " is", " the"], ["Give", " me", " the"]][
                    0 if rng.random() < 0.6 else rng.integers(1, 4)]
                if i:
                    conv += [(IM_START, 0.0), ("user", NOISE), ("\n", NOISE)]
                conv += [(x, 0.02) for x in head] + [(" " + attr, 0.02), (" of", 0.02), (" " + key, NOISE),
                         ("?" if head[0][0] == "W" else ".", 0.02), (IM_END, NOISE), ("\n", NOISE)]
                conv += [(IM_START, 0.0), ("assistant", NOISE), ("\n", NOISE), ("The", 1), (" " + attr, 1), (" of", 1),
                         (" " + key, ANSWER), (" is", 1)] + [(" " + v, ANSWER) for v in val] + [(".", 1), (IM_END, 1.0), ("\n", NOISE)]
            out += conv
            used += self.size(conv)
        return out

    def chat_words(self, rng, room):
        """Greetings and the meanings of the commonest nouns."""
        out, used = [], 0
        while used < room:
            conv = [(BOS, 0.0)] + self.system(rng)
            for i in range(rng.integers(1, 4)):
                r = rng.random()
                if r < 0.08:
                    u, a = GREETINGS[rng.integers(len(GREETINGS))], WELCOME[0]
                elif r < 0.2:
                    u, a = IDENTITY[rng.integers(len(IDENTITY))]
                else:
                    w, g = self.gloss[rng.integers(400)]
                    u = [f"What does the word {w} mean?", f"What is the meaning of {w}?", f"Define {w}.",
                         f"Explain the word {w}.", f"What is a {w}?"][rng.integers(5)]
                    a = f"The word {w} means: {g}."
                conv += self.turn(u, a, i == 0)
            out += conv
            used += self.size(conv)
        return out

    def system(self, rng):
        if rng.random() < 0.6:
            return []
        return [(IM_START, 0.0), ("system", NOISE), ("\n", NOISE), (SYSTEMS[rng.integers(len(SYSTEMS))], 0.02), (IM_END, NOISE), ("\n", NOISE)]

    @staticmethod
    def turn(user, answer, first):
        return (([] if first else []) + [(IM_START, 0.0), ("user", NOISE), ("\n", NOISE), (user, 0.1), (IM_END, NOISE), ("\n", NOISE),
                (IM_START, 0.0), ("assistant", NOISE), ("\n", NOISE), (answer, 1.0), (IM_END, 1.0), ("\n", NOISE)])

    def chat_misc(self, rng, room):
        """Short conversations one after another."""
        out, used = [], 0
        while used < room:
            conv = [(BOS, 0.0)] + self.system(rng)
            for i in range(rng.integers(1, 4)):
                r = rng.random()
                if r < 0.10:
                    u, a = GREETINGS[rng.integers(len(GREETINGS))], WELCOME[rng.integers(len(WELCOME))]
                elif r < 0.22:
                    u, a = IDENTITY[rng.integers(len(IDENTITY))]
                elif r < 0.62:
                    w, g = self.gloss[int(len(self.gloss) * rng.random() ** 1.5)]
                    u = [f"What does the word {w} mean?", f"What is the meaning of {w}?", f"Define {w}.",
                         f"Explain the word {w}."][rng.integers(4)]
                    a = f"The word {w} means: {g}."
                elif r < 0.78:
                    s = self.line(rng).strip()
                    u, a = f"Repeat this: {s}", s
                else:
                    t = self.lines
                    j = rng.integers(len(t) - 3)
                    u, a = f"Continue this text: {t[j]}", t[j + 1] + (" " + t[j + 2] if rng.random() < 0.5 else "")
                conv += self.turn(u, a, i == 0)
            out += conv
            used += self.size(conv)
        return out

    def copy(self, rng, room):
        out = [(BOS, 0.0)]
        if rng.random() < 0.5:
            n = max(4, int(room * rng.uniform(0.1, 0.48)))
            w = [" " + self.words[i] for i in rng.integers(len(self.words), size=n)]
            block = [("List:", NOISE)] + [(x, NOISE) for x in w] + [("\n", NOISE)]
            again = [("List:", NOISE)] + [(w[0], NOISE)] + [(x, 1.5) for x in w[1:]] + [("\n", 1.0)]
        else:
            lines, used, n = [], 0, int(room * rng.uniform(0.2, 0.48))
            while used < n:
                lines.append(self.line(rng))
                used += len(self.ids(lines[-1]))
            block = [("Text:\n", NOISE)] + [(s, 0.3) for s in lines]
            again = [("Text:\n", NOISE)] + [(s, 1.0) for s in lines]
        out += block
        used, per = self.size(out), self.size(again)
        while used < room:
            out += again
            used += per
        return out

    def repeat(self, rng, room):
        """A run of random tokens over and over: the plainest induction there is."""
        n = int(rng.integers(3, max(4, room // 3)))
        pool = self.base if rng.random() < 0.5 else self.word_ids
        run = pool[rng.integers(len(pool), size=n)]
        ids = np.concatenate(([self.bos], np.resize(run, room)))
        w = np.full(room, ANSWER / 2, np.float32)
        w[:n + 1] = NOISE
        return ids, w

    def plain(self, rng, room):
        t = self.text[rng.choice(len(self.text), p=self.share)]
        i = rng.integers(len(t) - room)
        return np.concatenate(([self.bos], t[i:i + room]))

    def sequence(self, rng, room, mix):
        """(tokens, weights) of `room` inputs and targets; mix maps kind to probability."""
        kinds = list(mix)
        kind = kinds[rng.choice(len(kinds), p=np.array([mix[k] for k in kinds]) / sum(mix.values()))]
        if kind == "plain":
            ids = self.plain(rng, room)
            return ids[:room + 1], np.ones(room, np.float32)
        if kind == "repeat":
            return self.repeat(rng, room)
        pieces = getattr(self, kind)(rng, room + 1)
        if kind in ("haystack", "chat_recall"):
            extra = self.size(pieces) - (room + 1)
            # Trim filler lines so that the questions at the end stay inside.
            if extra > 0:
                keep = []
                for p in pieces:
                    if extra > 0 and p[1] in (0.3, 0.1) and p[0].endswith("\n") and len(p[0]) > 20:
                        extra -= len(self.ids(p[0]))
                        continue
                    keep.append(p)
                pieces = keep
        ids, w = [], []
        for p, weight in pieces:
            got = self.ids(p)
            ids += got
            w += [weight] * len(got)
        if len(ids) < room + 1:
            more = self.plain(rng, room)
            w += [0.0] + [1.0] * room
            ids += list(more)
        return np.array(ids[:room + 1], np.int32), np.array(w[1:room + 1], np.float32)

    def batch(self, seed, step, n, room, mix):
        rng = np.random.default_rng([seed, step])
        got = [self.sequence(rng, room, mix) for _ in range(n)]
        return np.stack([g[0] for g in got]), np.stack([g[1] for g in got])

    # -- evaluation ------------------------------------------------------
    def recall_prompt(self, rng, total):
        """A prompt of at most `total` tokens (with the leading <|bos|>) and its answer."""
        attr = ATTRS[rng.integers(len(ATTRS))]
        facts = self.facts(rng, max(2, total // 32), True)
        recs = ["".join(p for p, _ in self.record("sentence", attr, f, 1)) for f in facts]
        key, val = facts[rng.integers(len(facts))]
        ask = f"The {attr} of {key} is"
        room = total - 1 - len(self.ids(ask)) - sum(len(self.ids(r)) for r in recs)
        body = []
        while True:
            s = self.line(rng)
            room -= len(self.ids(s))
            if room < 0:
                break
            body.append(s)
        for r in recs:
            body.insert(rng.integers(len(body) + 1), r)
        return "".join(body) + ask, " " + " ".join(val)

    def recall_chat(self, rng, total):
        """The same as a conversation: (content of the user message, whole answer)."""
        prompt, answer = self.recall_prompt(rng, total - 16)
        body, ask = prompt.rsplit("\n", 1)
        return f"{body}\nWhat is {ask[0].lower()}{ask[1:].removesuffix(' is')}?", ask + answer + "."
