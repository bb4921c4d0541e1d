#!/usr/bin/env python3
"""Writes docs/evidence/codec_quality.md and its plots from `sluice-bench quality --json`.

Usage: tools/quality_report.py [--build build] [--json FILE]
Runs the bench (minutes) unless given a file with what it printed.
"""
import math

from report import ROOT, arguments, figures, table

LENGTHS = (256, 512, 1024, 2048, 4096)
COMPARATORS = {"int4", "kivi4", "kivi2", "cachegen", "kvserve-q", "kvserve-h", "ll", "fp8"}


def plot(points: list[tuple[str, float, float, bool]]) -> str:
    """Ratio against mean KL (log), as SVG. points: (name, ratio, kl, comparator)."""
    w, h, left, bottom, top, right = 860, 520, 70, 50, 20, 90
    low, high = -5.0, -1.5
    most = max(p[1] for p in points) * 1.05

    def x(ratio: float) -> float:
        return left + (ratio - 1) / (most - 1) * (w - left - right)

    def y(kl: float) -> float:
        return top + (high - math.log10(max(kl, 10**low))) / (high - low) * (h - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" font-family="sans-serif" font-size="12">',
           f'<rect width="{w}" height="{h}" fill="white"/>']
    for e in range(int(low), int(math.floor(high)) + 1):
        out.append(f'<line x1="{left}" x2="{w - right}" y1="{y(10**e):.1f}" y2="{y(10**e):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 8}" y="{y(10**e) + 4:.1f}" text-anchor="end">1e{e}</text>')
    for r in range(1, int(most) + 1):
        out.append(f'<line x1="{x(r):.1f}" x2="{x(r):.1f}" y1="{top}" y2="{h - bottom}" stroke="#eee"/>')
        out.append(f'<text x="{x(r):.1f}" y="{h - bottom + 16}" text-anchor="middle">{r}x</text>')
    out.append(f'<text x="{(w - right + left) / 2}" y="{h - 12}" text-anchor="middle">raw bytes / wire bytes, all metadata</text>')
    out.append(f'<text transform="translate(16 {h / 2}) rotate(-90)" text-anchor="middle">mean KL to unchanged KV, nats per token</text>')
    front, best = [], math.inf
    for name, ratio, kl, comparator in sorted((p for p in points), key=lambda p: -p[1]):
        if not comparator and kl < best:
            best = kl
            front.append((ratio, kl))
    out.append('<polyline fill="none" stroke="#1f77b4" stroke-dasharray="4 3" points="'
               + " ".join(f"{x(r):.1f},{y(k):.1f}" for r, k in front) + '"/>')
    for name, ratio, kl, comparator in points:
        colour = "#d62728" if comparator else "#1f77b4"
        out.append(f'<circle cx="{x(ratio):.1f}" cy="{y(kl):.1f}" r="4" fill="{colour}"/>')
        out.append(f'<text x="{x(ratio) + 7:.1f}" y="{y(kl) + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join(out) + "\n</svg>\n"


def main() -> None:
    a = arguments(__doc__, "docs/evidence")
    measured, machine = figures(a, "quality")
    f = {name: x["value"] for name, x in measured.items()}
    names = [k[: -len(" ratio")] for k in f if k.endswith(" ratio")]
    lossy = [n for n in names if f[n + " KL mean"] > 0]
    (a.out / "codec_quality.svg").write_text(
        plot([(n, f[n + " ratio"], f[n + " KL mean"], n in COMPARATORS) for n in lossy]))
    ppl = next(k for k in f if k.startswith("perplexity"))
    quality = table(
        ["profile", "ratio", "p50", "worst", "K error", "V error", "KL mean", "KL p99", "top-1 (95%)", "perplexity"],
        [[f"`{n}`", f"{f[n + ' ratio']:.2f}", f"{f[n + ' ratio p50']:.2f}", f"{f[n + ' ratio worst']:.2f}",
          f"{f[n + ' K error']:.2g}", f"{f[n + ' V error']:.2g}", f"{f[n + ' KL mean']:.2g}", f"{f[n + ' KL p99']:.2g}",
          f"{f[n + ' top-1 agreement']:.4f} ({f[n + ' top-1 low']:.4f} to {f[n + ' top-1 high']:.4f})",
          f"{100 * f[n + ' perplexity change']:+.3f}%"] for n in names])
    lengths = [n for n in LENGTHS if f"unchanged KV recall {n}" in f]
    recall = table(
        ["recall at"] + [str(n) for n in lengths],
        [[f"`{n}`" if n != "unchanged KV" else n]
         + [f"{f[f'{n} recall {l}']:.2f} +- {f[f'{n} recall {l} error']:.2f}" for l in lengths]
         for n in ["unchanged KV"] + names])
    layers = sorted({tuple(k.split()[2:4]) for k in f if k.startswith("channels layer")})
    fields = ["shift", "power AM/GM", "spread AM/GM", "rotated AM/GM", "crest", "rotated crest"]
    channels = table(
        ["layer", "subtracting means", "coding each channel for its power", "the same, means subtracted",
         "left after rotation", "crest", "crest after rotation"],
        [[f"{l} {k}"] + [f"{f[f'channels layer {l} {k} {x}']:.3f}" for x in fields] for l, k in layers])
    text = (ROOT / "tools/quality_report.md.in").read_text()
    for key, value in {"QUALITY": quality, "RECALL": recall, "CHANNELS": channels, "PPL_NAME": ppl,
                       "PPL": f"{f[ppl]:.3f}", "MACHINE": machine}.items():
        text = text.replace(f"@{key}@", value)
    (a.out / "codec_quality.md").write_text(text)
    print(f"wrote {a.out / 'codec_quality.md'} and codec_quality.svg")


if __name__ == "__main__":
    main()
