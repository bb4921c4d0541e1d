#!/usr/bin/env python3
"""Build the training and held-out text of sluice-tiny from Debian packages.

    corpus.py --work DIR

Packages are fetched with `apt-get download` and unpacked under DIR/root; nothing
is installed.  Writes DIR/corpus/<name>.train.txt, DIR/corpus/<name>.held.txt,
DIR/corpus/glosses.tsv and DIR/corpus/packages.json (the versions used).
"""
import argparse
import gzip
import json
import lzma
import bz2
import pathlib
import re
import struct
import subprocess
import zlib

PACKAGES = [
    "r-cran-janeaustenr", "bible-kjv", "bible-kjv-text", "dict-devil", "wordnet-base",
    "debian-handbook", "debian-policy", "debian-faq", "debian-reference-en",
    "developers-reference", "python3.11-doc",
]
# Whole books of the King James text kept out of training.
HELD_BOOKS = {"Ruth", "Jonah", "Phi", "Jas"}


def fetch(work):
    deb, root = work / "deb", work / "root"
    deb.mkdir(parents=True, exist_ok=True)
    root.mkdir(exist_ok=True)
    have = {p.name.split("_")[0] for p in deb.glob("*.deb")}
    want = [p for p in PACKAGES if p not in have]
    if want:
        subprocess.run(["apt-get", "download", *want], cwd=deb, check=True)
    versions = {}
    for p in sorted(deb.glob("*.deb")):
        name = p.name.split("_")[0]
        if name in PACKAGES:
            versions[name] = subprocess.check_output(["dpkg-deb", "-f", p, "Version"], text=True).strip()
            subprocess.run(["dpkg-deb", "-x", p, root], check=True)
    return root, versions


def rdb_chunks(path):
    """Decompressed records of an R lazy-load database."""
    raw, at = path.read_bytes(), 0
    while at + 5 < len(raw):
        size = struct.unpack(">I", raw[at:at + 4])[0]
        kind = raw[at + 4:at + 5]
        if kind == b"Z":
            d = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}])
            start = at + 5
        elif kind == b"2":
            d, start = bz2.BZ2Decompressor(), at + 5
        else:
            d, start = zlib.decompressobj(), at + 4
        out = d.decompress(raw[start:])
        assert len(out) == size, (len(out), size)
        at = len(raw) - len(d.unused_data)
        yield out


def r_strings(blob):
    """The strings of the first character vector in a serialized R object."""
    i = blob.find(b"\x00\x00\x00\x10")
    if i < 0:
        return []
    n = struct.unpack(">I", blob[i + 4:i + 8])[0]
    i, out = i + 8, []
    for _ in range(n):
        if i + 8 > len(blob) or blob[i + 3] != 9:
            return []
        size = struct.unpack(">i", blob[i + 4:i + 8])[0]
        i += 8
        if size < 0:
            out.append("")
            continue
        out.append(blob[i:i + size].decode("utf-8", "replace"))
        i += size
    return out


ASCII = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "--",
         "\u00a0": " ", "\u2026": "...", "\u2022": "*", "\u00ad": ""}


def tidy(text):
    text = text.translate({ord(k): v for k, v in ASCII.items()})
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def unwrap(text):
    """Join hard-wrapped lines of plain paragraphs."""
    out = []
    for para in re.split(r"\n\s*\n", text):
        lines = para.split("\n")
        if all(not ln.startswith((" ", "\t", "*", "-", "#", "|", "+", ".")) for ln in lines):
            para = " ".join(ln.strip() for ln in lines)
        out.append(para)
    return "\n\n".join(out)


def austen(root):
    books = []
    for blob in rdb_chunks(root / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"):
        lines = r_strings(blob)
        if len(lines) > 1000:
            text = unwrap("\n".join(lines))
            text = text.replace("_", "")
            books.append(tidy(text))
    return books


def bible(root):
    exe = root / "usr/bin/bible"
    out = subprocess.run([exe, "-f", "-l4000", "-p", root / "usr/lib"], input="gen1:1-rev22:21\n", text=True,
                         capture_output=True, check=True).stdout
    out = out[out.index("[Gen1:1]>"):]
    books = {}
    for m in re.finditer(r"^(\d?[A-Za-z]+)(\d+):(\d+) (.*)$", out, re.M):
        books.setdefault(m[1], {}).setdefault(int(m[2]), []).append(m[4].strip())
    return books


def devil(root):
    raw = gzip.open(root / "usr/share/dictd/devil.dict.dz").read().decode("utf-8", "replace")
    raw = raw[raw.index("ABASEMENT, n."):]
    return tidy(unwrap(raw))


def rst(path):
    t = path.read_text("utf-8", "replace")
    t = re.sub(r"^\.\. .*(\n[ \t]+.*)*\n", "", t, flags=re.M)
    t = re.sub(r":[\w:]+:`([^`<]*?)(?: <[^`]*>)?`", r"`\1`", t)
    return t.replace("``", "`")


class Html:
    def __init__(self):
        from html.parser import HTMLParser

        class P(HTMLParser):
            def __init__(s):
                super().__init__()
                s.out, s.pre, s.skip = [], 0, 0

            def handle_starttag(s, tag, a):
                if tag in ("script", "style", "head", "nav"):
                    s.skip += 1
                if tag == "pre":
                    s.pre += 1
                if tag in ("p", "div", "li", "pre", "h1", "h2", "h3", "h4", "dt", "dd", "tr", "table"):
                    s.out.append("\n\n")
                if tag == "br":
                    s.out.append("\n")

            def handle_endtag(s, tag):
                if tag in ("script", "style", "head", "nav"):
                    s.skip -= 1
                if tag == "pre":
                    s.pre -= 1
                if tag in ("p", "pre", "h1", "h2", "h3", "h4", "li"):
                    s.out.append("\n\n")

            def handle_data(s, d):
                if not s.skip:
                    s.out.append(d if s.pre else re.sub(r"\s+", " ", d))
        self.p = P

    def text(self, path):
        p = self.p()
        p.feed(path.read_text("utf-8", "replace"))
        t = "".join(p.out)
        t = re.sub(r"\n[ ]+", "\n", t)
        return re.sub(r"\n\s*\n+", "\n\n", t)


def glosses(root):
    """(word, part of speech, first gloss) of every single lower-case WordNet lemma."""
    out = []
    for pos in ("noun", "verb", "adj"):
        data = root / f"usr/share/wordnet/data.{pos}"
        defs = {}
        for line in data.open("rb"):
            line = line.decode("utf-8", "replace")
            if line[:2] == "  ":
                continue
            g = line.split("|", 1)[1].strip() if "|" in line else ""
            g = re.split(r'; "|"', g)[0].strip(" ;")
            defs[line[:8]] = g
        cnt = {}
        for line in (root / f"usr/share/wordnet/index.{pos}").open():
            if line.startswith("  "):
                continue
            f = line.split()
            lemma, n_syn = f[0], int(f[2])
            n_ptr = int(f[3])
            tagged = int(f[5 + n_ptr])
            first = f[6 + n_ptr]
            if re.fullmatch(r"[a-z]{3,}", lemma):
                out.append((lemma, pos, tagged, n_syn, defs.get(first, "")))
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--work", type=pathlib.Path, required=True)
    work = ap.parse_args().work
    root, versions = fetch(work)
    out = work / "corpus"
    out.mkdir(exist_ok=True)
    (out / "packages.json").write_text(json.dumps(versions, indent=1) + "\n")

    def put(name, train, held):
        (out / f"{name}.train.txt").write_text(train)
        (out / f"{name}.held.txt").write_text(held)
        print(f"{name:12} train {len(train):9} held {len(held):8}")

    train, held = [], []
    for b in austen(root):
        cut = b.rfind("\n\n", 0, int(len(b) * 0.973))
        train.append(b[:cut] + "\n")
        held.append(b[cut:].strip() + "\n")
    put("austen", "\n".join(train), "\n".join(held))

    train, held = [], []
    for name, chapters in bible(root).items():
        text = "\n\n".join("\n".join(v) for v in chapters.values()) + "\n"
        (held if name in HELD_BOOKS else train).append(text)
    put("kjv", "\n".join(train), "\n".join(held))

    put("devil", devil(root), "")

    h = Html()
    docs = sorted((root / "usr/share/doc/debian-handbook/html/en-US").glob("*.html"))
    junk = re.compile(r"^(Download the ebook|Prev|Next|Up|Home)\n", re.M)
    text = [junk.sub("", h.text(p)) for p in docs if p.name not in ("index.html", "ix01.html")]
    for p in ("usr/share/doc/debian-policy/policy.txt.gz", "usr/share/doc/debian/FAQ/debian-faq.en.txt.gz",
              "usr/share/debian-reference/debian-reference.en.txt.gz",
              "usr/share/developers-reference/developers-reference.txt.gz"):
        text.append(unwrap(gzip.open(root / p, "rt", encoding="utf-8", errors="replace").read()))
    src = root / "usr/share/doc/python3.11/html/_sources"
    for d in ("tutorial", "faq", "howto"):
        text += [unwrap(rst(p)) for p in sorted((src / d).glob("*.txt"))]
    train, held = [], []
    for i, t in enumerate(text):
        (held if i % 33 == 7 else train).append(tidy(t))
    put("docs", "\n".join(train), "\n".join(held))

    with (out / "glosses.tsv").open("w") as f:
        for row in glosses(root):
            f.write("\t".join(map(str, row)) + "\n")


if __name__ == "__main__":
    main()
