#!/usr/bin/env python3
"""Writes docs/evidence/codec_speed.md from `sluice-bench codec --json`.

Usage: tools/speed_report.py [--build build] [--json FILE]
Runs the bench (minutes; leave the machine alone meanwhile) unless given a file with what it printed.
"""
from report import arguments, figures, table

GOALS = {"ll-fast": (0.75, 0.65), "q8": (0.85, 0.85), "int4": (0.65, 0.75), "h4": (0.45, 0.45), "h4r": (0.25, 0.25)}
HEAD = """# Speed of codecs

Made by `tools/speed_report.py`, which runs `sluice-bench codec --json`. Machine: {machine}. One thread, CPU time, medians of one
run. KV shaped as Llama-3.1-8B's (8 KV heads of 128, bf16) in pages of 16 tokens in random order, cut into frames as a transfer is;
everything goes from memory to memory. Rates are GB/s of uncompressed bytes; in brackets the share of a memcpy of the same bytes,
measured in turn with it: what else a machine does takes from both. Still, between runs on a busy one shares differ by a tenth. No
codec has run on a GPU yet. {note}

## Goals, {isa}, {tokens} tokens

{goals}
## Every profile, {isa}

{all}
## Other instruction sets, 512 tokens

{others}
## Two threads over one

{two}
Wall time of two workloads on two threads against one on one, the least of many rounds; two would be perfect. Both threads share this machine's memory
bandwidth, and its two cores may be two threads of one: beside it stands what two threads gain that only memcpy, in the same rounds.

## Memory beside rows and wire

The most that a thread holds at a time, starting with nothing, to encode and decode a chunk of 512 tokens of all 32 layers (64 MiB).
What zstd holds inside, in `ll`, is not counted.

{memory}
## Break-even

Below this link speed compressing pays even when nothing overlaps: (1 - 1/r) S, with r the ratio and S the speed of encode and decode
together, one core. KVServe's on an H100 (Llama-3.1-8B, arXiv 2605.13734) lies between 300 and 507 Gb/s for its own profiles.

{even}"""


def main() -> None:
    a = arguments(__doc__, "docs/evidence/codec_speed.md")
    f, machine = figures(a, "codec")
    keys = [k.split("/") for k in f if k.endswith("/encode") and k.count("/") == 3]
    names = list(dict.fromkeys(k[0] for k in keys))
    isas = list(dict.fromkeys(k[1] for k in keys))
    best = isas[0]
    sizes = sorted({int(k[2].split("_")[0]) for k in keys if k[1] == best})

    def cell(name: str, isa: str, size: int, way: str) -> str:
        x = f.get(f"{name}/{isa}/{size}_tokens/{way}")
        return f"{x['value']:.1f} ({x['ratio']:.2f})" if x else "-"

    middle = sizes[len(sizes) // 2]
    goals = []
    for name, (encode, decode) in GOALS.items():
        e, d = (f[f"{name}/{best}/{middle}_tokens/{way}"] for way in ("encode", "decode"))
        goals.append([f"`{name}`", f"{e['value']:.1f}", f"{e['ratio']:.2f}", f"{encode:.2f}", "yes" if e["ratio"] >= encode else "no",
                      f"{d['value']:.1f}", f"{d['ratio']:.2f}", f"{decode:.2f}", "yes" if d["ratio"] >= decode else "no"])
    text = HEAD.format(
        machine=machine, note=a.note, isa=best, tokens=middle,
        goals=table(["profile", "encode GB/s", "of memcpy", "goal", "met", "decode GB/s", "of memcpy", "goal", "met"], goals),
        all=table(["profile", "ratio"] + [f"{way}, {s}" for s in sizes for way in ("encode", "decode")],
                  [[f"`{n}`", f"{f[f'{n}/{best}/{middle}_tokens/ratio']['value']:.2f}"]
                   + [cell(n, best, s, way) for s in sizes for way in ("encode", "decode")] for n in names]),
        others=table(["profile"] + [f"{i} {way}" for i in isas for way in ("encode", "decode")],
                     [[f"`{n}`"] + [cell(n, i, 512, way) for i in isas for way in ("encode", "decode")] for n in names]),
        two=table(["profile", "speed of two over one", "of two that memcpy", "of what memcpy gains"],
                  [[f"`{k.split('/')[0]}`", f"{x['value']:.2f}", f"{x['reference']['value']:.2f}", f"{x['ratio']:.2f}"]
                   for k, x in f.items() if k.endswith("/two_cores")]),
        memory=table(["profile", "MiB", "of a chunk"],
                     [[f"`{n}`", f"{x['value']:.2f}", f"{100 * x['ratio']:.1f}%"]
                      for n in names if (x := f.get(f"{n}/extra_memory"))]),
        even=table(["profile", "Gb/s"],
                   [[f"`{n}`", f"{f[k]['value']:.0f}"] for n in names if (k := f"{n}/{best}/{middle}_tokens/break_even_link") in f]))
    a.out.write_text(text.replace(" \n", "\n"))
    print(f"wrote {a.out}")


if __name__ == "__main__":
    main()
