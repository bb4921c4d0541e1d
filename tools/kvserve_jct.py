#!/usr/bin/env python3
"""KVServe's table of job completion time against bandwidth, beside the simulator; writes docs/evidence/kvserve_jct.md.

Usage: tools/kvserve_jct.py [--bin build/bin]

Prompt length, load and answer length of its experiment are not published. They are fitted to its bf16 row alone; the rows
of the compressing methods are then predicted, and compared.
"""
import argparse
import csv
import json
import math
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "docs" / "evidence"
CODECS = ["raw", "kivi", "cachegen+ans", "quant+ans", "hadamard+quant+ans"]
OWN_CORES = 16
TOKEN_BITS = 131072 * 8
SPREAD = 0.6
SEEDS = [1, 2, 3]


def published() -> dict:
    lines = [line for line in (EVIDENCE / "kvserve_jct.csv").read_text().splitlines() if not line.startswith("#")]
    table: dict = {}
    for row in csv.DictReader(lines):
        table.setdefault(row["method"], {})[int(row["bandwidth_gbps"])] = float(row["jct_ms"])
    return table


def fit(bf16: dict) -> tuple:
    """Prompt bits, arrivals per second on the link, ms besides: least squares of log error of an M/G/1 link."""
    best = None
    for tokens in range(4000, 40001, 250):
        for thousandth in range(20, 600, 5):
            rate = thousandth / 1000
            times = {}
            for gbps in bf16:
                service = tokens * TOKEN_BITS / (gbps * 1e9)
                busy = rate * service
                if busy >= 0.97:
                    break
                wait = busy * service * math.exp(SPREAD**2) / 2 / (1 - busy)
                times[gbps] = (service + wait) * 1e3
            if len(times) < len(bf16):
                continue
            rest = sum(bf16[g] - times[g] for g in (50, 100)) / 2
            if rest <= 0:
                continue
            error = sum(math.log((times[g] + rest) / bf16[g]) ** 2 for g in bf16)
            if best is None or error < best[0]:
                best = (error, tokens, rate, rest)
    return best[1:]


def own_hardware(path: pathlib.Path, cores: int) -> pathlib.Path:
    """The H100 with this project's codecs on so many cores of its host; linear in cores."""
    cpu = json.loads((ROOT / "coordinator/sim/hardware/cpu.json").read_text())
    gpu = json.loads((EVIDENCE / "kvserve_h100.json").read_text())
    gpu["profiles"] = "sluice"
    gpu["codecs"] = {n: {k: v * cores for k, v in c.items()} for n, c in cpu["codecs"].items()}
    file = path / f"h100_host_{cores}.json"
    file.write_text(json.dumps(gpu))
    return file


class Runs:
    def __init__(self, binary: str, load: dict):
        self.binary, self.load = binary, load

    def mean(self, gbps: int, policy: str, hardware, overlap: bool, **more) -> dict:
        """Mean E2E in ms over seeds, and the profile most requests took."""
        scenario = {**self.load, "link_gbps": gbps, "local_prefill": False, "overlap": overlap, "prefill_hardware": str(hardware),
                    "decode_hardware": str(hardware), **more}
        times, shares = [], {}
        for seed in SEEDS:
            with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
                json.dump(scenario, f)
                f.flush()
                out = subprocess.run([self.binary, "simulate", "--json", "--scenario", f.name, "--policy", policy,
                                      "--seed", str(seed)], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
            r = json.loads(out)
            times.append(r["summary"]["e2e_ms"]["mean"])
            for name, share in r["profiles"].items():
                shares[name] = shares.get(name, 0) + share / len(SEEDS)
        return {"ms": sum(times) / len(times), "profile": max(shares, key=shares.get)}


def percent(x: float) -> str:
    return f"{x * 100:+.0f}%"


def svg(lines: dict, bandwidths: list) -> str:
    """Log-log line chart."""
    width, height, left, right, top, bottom = 760, 380, 60, 230, 30, 44
    values = [v for row in lines.values() for v in row]
    low, high = math.log10(min(values)) - 0.02, math.log10(max(values)) + 0.02
    x = lambda b: left + (math.log10(b / bandwidths[0]) / math.log10(bandwidths[-1] / bandwidths[0])) * (width - left - right)
    y = lambda v: height - bottom - (math.log10(v) - low) / (high - low) * (height - top - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{left}" y="18" font-size="14">Mean job completion time, ms, by link bandwidth, Gb/s</text>']
    for b in bandwidths:
        out.append(f'<line x1="{x(b):.1f}" x2="{x(b):.1f}" y1="{top}" y2="{height - bottom}" stroke="#ddd"/>'
                   f'<text x="{x(b):.1f}" y="{height - bottom + 16}" text-anchor="middle">{b}</text>')
    for v in (1500, 2000, 3000, 5000, 10000):
        if low <= math.log10(v) <= high:
            out.append(f'<line x1="{left}" x2="{width - right}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="#ddd"/>'
                       f'<text x="{left - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v}</text>')
    colours = ["#777", "#c33", "#b80", "#36c", "#0b6", "#839"]
    for i, (name, row) in enumerate(lines.items()):
        colour = colours[i % len(colours)]
        points = " ".join(f"{x(b):.1f},{y(v):.1f}" for b, v in zip(bandwidths, row))
        dash = ' stroke-dasharray="5 4"' if "published" in name else ""
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.8"{dash} points="{points}"/>'
                   f'<text x="{width - right + 10}" y="{top + 10 + 17 * i}" fill="{colour}">{name}</text>')
    return "\n".join(out) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/bin")
    args = parser.parse_args()
    table = published()
    bandwidths = sorted(table["bf16"])
    tokens, rate, rest = fit(table["bf16"])
    hardware = EVIDENCE / "kvserve_h100.json"
    # One prefill and one decode node, so that there is one link; what the fit leaves besides the link is prefill and decode.
    load = {"model": "llama-3.1-8b", "prefill_nodes": 1, "decode_nodes": 1, "requests": 3000, "rate": rate, "prompt_mean": tokens,
            "prompt_spread": SPREAD, "output_mean": 100, "output_spread": 0, "quality_kl": 1, "max_wait_s": 600, "admission": False,
            "slo_ttft_ms": 3000, "slo_tpot_ms": 100}
    probe = Runs(f"{args.bin}/sluicectl", load)
    for _ in range(3):  # the answer's length makes up for what prefill does not take
        short = table["bf16"][100] - probe.mean(100, "static:raw", hardware, False)["ms"]
        load["output_mean"] = max(2, round(load["output_mean"] + short / 11))
    runs = Runs(f"{args.bin}/sluicectl", load)

    summed = {m: [runs.mean(b, p, hardware, False)["ms"] for b in bandwidths]
              for m, p in (("bf16", "static:raw"), ("cachegen", "static:cachegen+ans"), ("kivi", "static:kivi"))}
    # KVServe's own choice: the least of its sum of stages, which is the best static codec without overlap.
    by_codec = {c: [runs.mean(b, f"static:{c}", hardware, False)["ms"] for b in bandwidths] for c in CODECS}
    own_choice = [min((by_codec[c][i], c) for c in CODECS) for i in range(len(bandwidths))]
    summed["kvserve"] = [v for v, _ in own_choice]
    overlapped = [runs.mean(b, "sluice", hardware, True) for b in bandwidths]
    overlapped_static = [min(runs.mean(b, f"static:{c}", hardware, True)["ms"] for c in CODECS) for b in bandwidths]
    with tempfile.TemporaryDirectory() as scratch:
        files = {n: own_hardware(pathlib.Path(scratch), n) for n in (1, OWN_CORES)}
        ours = {n: [runs.mean(b, "sluice", f, True, quality_kl=0.02) for b in bandwidths] for n, f in files.items()}

    lines = ["# KVServe's job completion times, reproduced and passed on",
             "",
             "Made by `tools/kvserve_jct.py`. Simulated, all but the published columns: no GPU was measured here.",
             "",
             "Published: mean job completion time, Llama-3.1-8B, prefill and decode apart (arXiv 2605.13734; `kvserve_jct.csv`). Its prompt lengths and load are "
             "not published. Three figures are fitted to the bf16 row alone, as a link that serves one prompt after another: "
             f"{tokens:,} prompt tokens in the mean (log-normal, {SPREAD}), {rate:.3f} prompts per second and link, and answers of {load['output_mean']} tokens, which "
             "stand for all that the link does not take. The other rows are predictions from KVServe's own ratios and speeds "
             "(`kvserve_h100.json`, `kvserve_profiles.json`), its stages one after the other as in its model. Its policy is taken at its best: the codec "
             f"whose mean is least at each bandwidth. 3,000 prompts, {len(SEEDS)} seeds.",
             "",
             "## Without overlap: KVServe's model and figures", "",
             "| Gb/s | " + " | ".join(f"{m} published | simulated | off" for m in summed) + " |",
             "|---|" + "---|" * (3 * len(summed))]
    for i, b in enumerate(bandwidths):
        cells = [f"{table[m][b]:.0f} | {row[i]:.0f} | {percent(row[i] / table[m][b] - 1)}" for m, row in summed.items()]
        lines.append(f"| {b} | " + " | ".join(cells) + " |")
    off = {m: [abs(row[i] / table[m][b] - 1) for i, b in enumerate(bandwidths)] for m, row in summed.items()}
    lines += ["", "Mean distance: " + ", ".join(f"{m} {sum(v) / len(v) * 100:.0f}%" for m, v in off.items()) +
              " (bf16 is fitted, the others are predicted). Codecs taken for `kvserve`: " +
              ", ".join(f"{c} at {b}" for b, (_, c) in zip(bandwidths, own_choice)) + " Gb/s.",
              "", "## Sluice on the same hardware, then with its own codecs", "",
              "The same load. With overlap layers are encoded, sent and decoded while later ones are computed. `own, N cores`: Sluice's codecs on N cores of "
              "the host at each end, at the speeds measured on one core (`codec_speed.md`) times N, which assumes that cores scale and leaves the copy between GPU and host "
              "out; ratios and KLs are those of `codec_quality.md`, the budget is KL 0.02. Its GPU codecs have no measured speed and are left out.",
              "",
              "| Gb/s | KVServe's, summed | Sluice, same codecs | most taken | over KVServe | best static, overlapped | own, 1 core | most taken | own, "
              f"{OWN_CORES} cores | most taken |", "|---|---|---|---|---|---|---|---|---|---|"]
    for i, b in enumerate(bandwidths):
        one, many = ours[1][i], ours[OWN_CORES][i]
        lines.append(f"| {b} | {summed['kvserve'][i]:.0f} | {overlapped[i]['ms']:.0f} | {overlapped[i]['profile']} | "
                     f"{percent(overlapped[i]['ms'] / summed['kvserve'][i] - 1)} | {overlapped_static[i]:.0f} | {one['ms']:.0f} | {one['profile']} | "
                     f"{many['ms']:.0f} | {many['profile']} |")
    worst = max(o["ms"] / s - 1 for o, s in zip(overlapped, overlapped_static))
    lines += ["", "All in ms. What prefill and decode take is in every column, and is most of it above 10 Gb/s: no codec can save that. "
              f"Sluice's policy is at most {worst * 100:.1f}% over the best static codec under the same overlap. How much overlap saves depends on the "
              "share of prefill, and so on the fitted length: with shorter prompts and longer answers of the same sum it would save less.",
              "", "![job completion time by bandwidth](kvserve_jct.svg)", ""]
    (EVIDENCE / "kvserve_jct.md").write_text("\n".join(lines))
    (EVIDENCE / "kvserve_jct.svg").write_text(svg({
        "bf16, published": [table["bf16"][b] for b in bandwidths], "kvserve, published": [table["kvserve"][b] for b in bandwidths],
        "bf16, simulated": summed["bf16"], "kvserve, simulated": summed["kvserve"],
        "Sluice, same codecs": [o["ms"] for o in overlapped], f"Sluice, own on {OWN_CORES} cores": [o["ms"] for o in ours[OWN_CORES]]},
        bandwidths))


if __name__ == "__main__":
    main()
