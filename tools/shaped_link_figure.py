"""The figure of TTFT against link speed, by profile, that tools/shaped_link_report.py writes: docs/evidence/ttft_by_link.svg."""
import math
from statistics import median

SHOWN = ["raw", "ll", "q8", "k6v4", "h4", "k4v3r"]  # of the statics, if they ran; more would hide each other
COLOURS = ["#555555", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#d62728"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 130, 46, 60


def ticks(low: float, high: float) -> list[float]:
    return [m * 10.0**e for e in range(-1, 7) for m in (1, 2, 5) if low <= m * 10.0**e <= high]


def speed(mbps: float) -> str:
    return f"{mbps / 1000:g} Gb/s" if mbps >= 1000 else f"{mbps:g} Mb/s"


class Axes:
    def __init__(self, rates: list[float], times: list[float]):
        self.x0, self.x1 = math.log10(min(rates) * 0.8), math.log10(max(rates) * 1.25)
        self.y0, self.y1 = math.log10(min(times) * 0.8), math.log10(max(times) * 1.25)

    def x(self, rate: float) -> float:
        return LEFT + (math.log10(rate) - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, ms: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(ms) - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)


def apart(wanted: dict[str, float], least: float, bottom: float) -> dict[str, float]:
    """Labels' heights, moved so that none hides another and none is below the bottom."""
    out, last = {}, -math.inf
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        last = out[name] = max(y, last + least)
    for name in reversed(out):
        bottom = out[name] = min(out[name], bottom)
        bottom -= least
    return out


def link_figure(statics: dict[float, dict[str, float]], controller: dict[float, float], tokens: int) -> str:
    """`statics`: by rate in Mb/s and profile, median TTFT in ms of prompts of so many tokens; `controller`: by rate."""
    names = [n for n in SHOWN if all(n in by for by in statics.values())]
    lines = {n: {rate: by[n] for rate, by in statics.items()} for n in names} | ({"Sluice": controller} if controller else {})
    colour = dict(zip(names, COLOURS)) | {"Sluice": "#000000"}
    axes = Axes(list(statics), [ms for line in lines.values() for ms in line.values()])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="14">Time to first token of a prompt of {tokens} tokens, ms, by link speed and KV profile</text>']
    for rate in statics:
        out.append(f'<line x1="{axes.x(rate):.1f}" y1="{TOP}" x2="{axes.x(rate):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{axes.x(rate):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{speed(rate)}</text>')
    for ms in ticks(10**axes.y0, 10**axes.y1):
        out.append(f'<line x1="{LEFT}" y1="{axes.y(ms):.1f}" x2="{WIDTH - RIGHT}" y2="{axes.y(ms):.1f}" stroke="#eee"/>')
        out.append(f'<text x="{LEFT - 8}" y="{axes.y(ms) + 4:.1f}" text-anchor="end">{ms:g}</text>')
    first = min(statics)
    last = max(statics)
    at = apart({n: axes.y(line[last]) for n, line in lines.items()}, 15, HEIGHT - BOTTOM)
    for name, line in lines.items():
        points = " ".join(f"{axes.x(rate):.1f},{axes.y(line[rate]):.1f}" for rate in sorted(line))
        more = ' stroke-dasharray="6 4"' if name == "Sluice" else ""
        out.append(f'<polyline fill="none" stroke="{colour[name]}" stroke-width="2"{more} points="{points}"/>')
        out += [f'<circle cx="{axes.x(rate):.1f}" cy="{axes.y(ms):.1f}" r="3" fill="{colour[name]}"/>' for rate, ms in line.items()]
        label = "Sluice chooses" if name == "Sluice" else name
        out.append(f'<text x="{WIDTH - RIGHT + 12}" y="{at[name] + 4:.1f}" fill="{colour[name]}">{label}</text>')
    if "raw" in lines and names[-1] != "raw":
        gain = lines["raw"][first] / lines[names[-1]][first]
        out.append(f'<text x="{LEFT}" y="{HEIGHT - 14}" fill="#555">At {speed(first)}, uncompressed KV takes {gain:.1f} times as long as {names[-1]}. '
                   'Measured with tools/shaped_link.sh.</text>')
    return "\n".join(out) + "\n</svg>\n"


def from_visits(statics: dict, visits: list) -> tuple[dict, dict, int]:
    """What link_figure() takes, from the report's best_statics() and Visits: of the longest prompts."""
    tokens = max(next(iter(statics.values()))[0].by_length)
    by_rate = {rate: {s.name: s.by_length[tokens] for s in all_} for rate, all_ in statics.items()}
    own: dict[float, list[float]] = {}
    for v in visits:
        # Past its first requests at a rate: what it settles at.
        own.setdefault(v.rate, []).extend(r["client_ttft_ms"] for r in v.rows[len(v.rows) // 3:] if r["tokens"] == tokens and "client_ttft_ms" in r)
    return by_rate, {rate: median(times) for rate, times in own.items() if times}, tokens
