#!/usr/bin/env python3
"""Says what tools/shaped_link.sh measured; with --write also docs/evidence/shaped_link.md and its figure.

Usage: tools/shaped_link_report.py --requests FILE [--slo-ttft-ms MS] [--write] [--out DIR]
       tools/shaped_link_report.py --requests FILE --best N --rate MBPS     names the best N static profiles at a rate
FILE holds a line of JSON per request, by kind: every static profile at each rate before the steps ("static"), the
controller's requests ("step"), and those of the best statics between them ("beside"). Fails when a request failed, or
was faster than its KV can cross the link: then it went another way.
"""
import argparse
import json
import math
import os
import pathlib
import platform
import sys
from statistics import median

from shaped_link_figure import from_visits, link_figure

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLOSE, GOAL, WINDOW = 1.10, 20, 9
COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf", "#aec7e8", "#ffbb78"]
NEVER = 1e6  # ms; a request that failed


def ttft(r: dict) -> float:
    return r.get("client_ttft_ms", NEVER)


def profile(r: dict) -> str:
    return (r.get("decision") or {}).get("profile") or "none"


def met(rows: list[dict], slo_ms: float) -> float:
    return sum(ttft(r) <= slo_ms for r in rows) / len(rows) if rows else math.nan


def too_fast(r: dict) -> bool:
    """A tbf may pass a burst at once; two leave room for one that had just begun."""
    bytes_per_s = r["rate_mbps"] * 125000
    if bytes_per_s == 0:
        return False
    wire = (r.get("decision") or {}).get("kv_wire_bytes", 0)
    return ttft(r) * 1e-3 < 0.9 * (wire - 2 * max(65536, bytes_per_s * 1e-3)) / bytes_per_s


def geometric(values: list[float]) -> float:
    return math.exp(sum(math.log(v) for v in values) / len(values))


def usual_by_length(rows: list[dict]) -> dict[int, float]:
    return {n: median(ttft(r) for r in rows if r["tokens"] == n) for n in sorted({r["tokens"] for r in rows})}


class Static:
    """One profile, all requests pinned to it, at one rate and by itself."""

    def __init__(self, name: str, rows: list[dict]):
        self.name, self.rows = name, rows
        self.by_length = usual_by_length(rows)
        self.score = geometric(list(self.by_length.values()))


def best_statics(rows: list[dict]) -> dict[float, list[Static]]:
    """By rate, all statics, the best first."""
    out = {}
    for rate in sorted({r["rate_mbps"] for r in rows}):
        here = [r for r in rows if r["rate_mbps"] == rate]
        out[rate] = sorted((Static(n, [r for r in here if r["asked"] == n]) for n in dict.fromkeys(r["asked"] for r in here)),
                           key=lambda s: s.score)
    return out


class Visit:
    """The controller's requests at one rate, in order, and those of the best statics between them. TTFTs are taken as
    shares of what a prompt of that length usually took in this visit, so that lengths add up."""

    def __init__(self, rows: list[dict], beside: list[dict]):
        self.rate, self.step, self.rows, self.beside = rows[0]["rate_mbps"], rows[0]["step"], rows, beside
        late = rows[GOAL:] or rows
        self.usual = max({profile(r) for r in late}, key=lambda n: sum(profile(r) == n for r in late))
        self.by_length = usual_by_length(beside)
        self.best, self.over = None, []

    def shares(self, name: str) -> list[float]:
        return [ttft(r) / self.by_length[r["tokens"]] for r in self.beside if r["asked"] == name]

    def compare(self, best: str) -> None:
        shares = self.shares(best)
        rows = [r for r in self.rows if r["tokens"] in self.by_length]  # with few requests, statics lack a length
        if not shares or not rows:
            return
        self.best, self.level = best, median(shares)
        self.best_rows = [r for r in self.beside if r["asked"] == best]
        self.over = [ttft(r) / self.by_length[r["tokens"]] / self.level for r in rows]

    def took(self) -> int | None:
        """Requests until the median of the next WINDOW is within CLOSE of the best static's; None: not in this step."""
        for n in range(len(self.over) - WINDOW + 1):
            if median(self.over[n:n + WINDOW]) <= CLOSE:
                return n
        return None

    def good(self) -> bool:
        took = self.took()
        return took is not None and took <= GOAL and self.settled() <= CLOSE

    def settled(self) -> float:
        return median(self.over[GOAL:] or self.over)

    def error(self) -> float:
        """Median absolute relative error of predicted TTFT, past the first GOAL requests."""
        late = [r["decision"] for r in self.rows[GOAL:] or self.rows]
        late = [d for d in late if d.get("predicted_ttft_ms") and d.get("ttft_ms")]
        return median(abs(d["predicted_ttft_ms"] - d["ttft_ms"]) / d["ttft_ms"] for d in late) if late else math.nan


def find_best(visits: list[Visit]) -> None:
    """The best static of a rate: the least median over all its visits."""
    for rate in {v.rate for v in visits}:
        here = [v for v in visits if v.rate == rate and v.beside]
        names = dict.fromkeys(r["asked"] for v in here for r in v.beside)
        if names:
            best = min(names, key=lambda n: median(x for v in here for x in v.shares(n)))
            for v in here:
                v.compare(best)


def speed(mbps: float) -> str:
    return f"{mbps / 1000:g} Gb/s" if mbps >= 1000 else f"{mbps:g} Mb/s"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(r) + " |" for r in rows])


def steps_table(visits: list[Visit], slo_ms: float) -> str:
    rows = []
    for v in visits:
        own = f"{100 * met(v.rows, slo_ms):.0f}"
        if v.best:
            took = v.took()
            rows.append([f"{v.step}: {speed(v.rate)}", f"`{v.usual}`", f"`{v.best}`", "never" if took is None else str(took),
                         "met" if v.good() else "**missed**", f"{v.settled():.2f}",
                         f"{own} / {100 * met(v.best_rows, slo_ms):.0f}", f"{100 * v.error():.0f}"])
        else:
            rows.append([f"{v.step}: {speed(v.rate)}", f"`{v.usual}`", "-", "-", "-", "-", own, f"{100 * v.error():.0f}"])
    return table(["step", "usual choice", "best static", "requests until within 10%", f"in {GOAL}, and stays", f"median TTFT over best static's, after {GOAL}",
                  "SLO met %, controller / best static", "TTFT prediction error %"], rows)


def statics_table(statics: dict[float, list[Static]], visits: list[Visit]) -> str:
    rows = []
    for rate, all_ in statics.items():
        for i, s in enumerate(all_):
            during = [f"{median(v.shares(s.name)):.2f}" for v in visits if v.rate == rate and v.shares(s.name)]
            rows.append([speed(rate) if i == 0 else "", f"`{s.name}`"] + [f"{m:.0f}" for m in s.by_length.values()]
                        + [f"{s.score / all_[0].score:.2f}", ", ".join(during)])
    lengths = list(next(iter(statics.values()))[0].by_length)
    return table(["rate", "profile"] + [f"{n} tokens, ms" for n in lengths] + ["over the first", "during the steps"], rows)


class Panel:
    """A strip of the figure with its own vertical scale."""

    def __init__(self, top: float, height: float, low: float, high: float, log: bool):
        self.top, self.height, self.log = top, height, log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)

    def y(self, v: float) -> float:
        v = math.log10(max(v, 1e-9)) if self.log else v
        share = min(max((v - self.low) / (self.high - self.low), 0), 1)
        return self.top + self.height * (1 - share)


def figure(visits: list[Visit], slo_ms: float) -> str:
    rows = [r for v in visits for r in v.rows]
    start, end = min(r["sent"] for r in rows), max(r["sent"] for r in rows) + 1
    w, left, right = 1100, 90, 120
    x = lambda t: left + (t - start) / (end - start) * (w - left - right)
    names = sorted({profile(r) for r in rows}, key=lambda n: -max(r["decision"]["kv_wire_bytes"] / r["tokens"] for r in rows
                                                                  if r.get("decision") and profile(r) == n) if n != "none" else 0)
    colour = {n: COLOURS[i % len(COLOURS)] for i, n in enumerate(names)}
    times = [ttft(r) for r in rows if ttft(r) < NEVER]
    rate = Panel(30, 70, 0.7 * min(v.rate for v in visits), 1.4 * max(v.rate for v in visits), True)
    lat = Panel(130, 230, 0.8 * min(times), 1.2 * max(times), True)
    pick = Panel(390, 18 * len(names), 0, 1, False)
    slo = Panel(pick.top + pick.height + 40, 90, 0, 1, False)
    h = slo.top + slo.height + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h:.0f}" font-family="sans-serif" font-size="12">',
           f'<rect width="{w}" height="{h:.0f}" fill="white"/>']
    text = lambda px, py, s, anchor="start", fill="black": out.append(f'<text x="{px:.1f}" y="{py:.1f}" text-anchor="{anchor}" fill="{fill}">{s}</text>')
    line = lambda x1, y1, x2, y2, c, more="": out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{c}" {more}/>')
    for p, title in ((rate, "link rate"), (lat, "TTFT, ms; dashes: the best static's median per prompt length"), (pick, "profile chosen"),
                     (slo, f"share of the last 10 requests within {slo_ms:g} ms; dashes: the best static's")):
        text(left, p.top - 8, title)
        out.append(f'<rect x="{left}" y="{p.top:.1f}" width="{w - left - right}" height="{p.height:.1f}" fill="none" stroke="#bbb"/>')
    ends = [v.rows[0]["sent"] for v in visits[1:]] + [end]
    for v, until in zip(visits, ends):
        a, b = x(v.rows[0]["sent"]), x(until)
        line(a, rate.y(v.rate), b, rate.y(v.rate), "#333", 'stroke-width="2"')
        text((a + b) / 2, rate.y(v.rate) + (16 if rate.y(v.rate) < rate.top + 20 else -5), speed(v.rate), "middle")
        line(a, rate.top, a, slo.top + slo.height, "#ddd")
        if v.best:
            for m in v.by_length.values():
                line(a, lat.y(m * v.level), b, lat.y(m * v.level), "#555", 'stroke-dasharray="5 3"')
            text((a + b) / 2, lat.top + 14, v.best, "middle", "#555")
            share = slo.y(met(v.best_rows, slo_ms))
            line(a, share, b, share, "#555", 'stroke-dasharray="5 3"')
    for ms in (m * 10**e for e in range(4) for m in (1, 2, 5)):
        if 10**lat.low < ms < 10**lat.high:
            line(left - 4, lat.y(ms), left, lat.y(ms), "#333")
            text(left - 8, lat.y(ms) + 4, f"{ms:g}", "end")
    if 10**lat.low < slo_ms < 10**lat.high:
        line(left, lat.y(slo_ms), w - right, lat.y(slo_ms), "#d62728", 'stroke-dasharray="2 3"')
        text(w - right + 6, lat.y(slo_ms) + 4, "objective", fill="#d62728")
    for i, n in enumerate(names):
        text(left - 8, pick.top + 18 * i + 13, n, "end", colour[n])
    last10 = []
    for i, r in enumerate(rows):
        px, n = x(r["sent"]), profile(r)
        explored = (r.get("decision") or {}).get("reason") == "explore"
        out.append(f'<circle cx="{px:.1f}" cy="{lat.y(ttft(r)):.1f}" r="3" fill="{colour[n]}"/>')
        out.append(f'<circle cx="{px:.1f}" cy="{pick.top + 18 * names.index(n) + 9:.1f}" r="3" fill="{"white" if explored else colour[n]}" stroke="{colour[n]}"/>')
        last10.append(f"{px:.1f},{slo.y(met(rows[max(0, i - 9):i + 1], slo_ms)):.1f}")
    text(w - right + 6, pick.top + 13, "hollow: a probe", fill="#555")
    out.append(f'<polyline fill="none" stroke="#1f77b4" stroke-width="1.5" points="{" ".join(last10)}"/>')
    for share in (0, 0.5, 1):
        text(left - 8, slo.y(share) + 4, f"{share:.0%}", "end")
    for s in range(0, int(end - start) + 1, 20):
        text(x(start + s), slo.top + slo.height + 18, f"{s} s", "middle")
    return "\n".join(out) + "\n</svg>\n"


PAGE = """# The controller on a real link

Regenerate with `tools/shaped_link.sh` (root; {minutes:.0f} minutes; `--help` says what it does). One prefill and one decode node, real
processes on the bundled model, in two network namespaces joined by a veth pair under `tc tbf`; control plane and HTTP have a link of
their own. Machine: {machine}, shared with other work. A request every {interval:g} s, prompts of {lengths} tokens in turns, 2 KiB of KV
per token, objective {slo:g} ms. {bytes}

![rate, TTFT, profile and SLO attainment over time](shaped_link.svg)

## After each step

{summary}

{steps}

- *Requests until within 10%*: the smallest n such that the median over requests n to n + {window} of TTFT over the best static's is at
  most 1.10. Step 0 is the start: the link was probed, and three transfers were seen.
- The statics beside the controller are the best {arms} of {all} when measured alone at that rate (table below), in turns, each half an
  interval after a request of the controller: what else the machine does meets both. *Best static*: the least median of them over all
  steps at that rate. TTFTs are compared as shares of the median that statics took for that prompt length in that step. The best of a
  few noisy figures flatters itself by a little.
- The controller has its own cluster: it learns from its own requests only.

## Statics at each rate

![TTFT against link speed by profile](ttft_by_link.svg)

{statics}

Alone, one request at a time, {count} each; *during the steps*: median share of the usual TTFT in each step at that rate.
"""


def cpu() -> str:
    try:
        names = [l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def summarise(visits: list[Visit]) -> str:
    judged = [v for v in visits[1:] if v.best]
    if not judged:
        return "No statics were run: nothing to compare with."
    good = [v for v in judged if v.good()]
    lines = [f"Within 10% of the best static's median TTFT in at most {GOAL} requests, and after them, in {len(good)} of {len(judged)} steps"
             + (": goal met." if len(good) == len(judged) else ": **goal missed**.")]
    for v in judged:
        if v not in good:
            late = "not in this step" if v.took() is None else f"after {v.took()} requests"
            lines.append(f"Missed after the step to {speed(v.rate)} (step {v.step}): {late}; settled at {v.settled():.2f} of the best static.")
    return "\n".join(lines)


def wire_share(rows: list[dict]) -> str:
    done = [r["decision"] for r in rows if r.get("decision")]
    wire, raw = (sum(d.get(k, 0) for d in done) for k in ("kv_wire_bytes", "kv_raw_bytes"))
    return f"The controller sent {wire / 1e6:.0f} MB for {raw / 1e6:.0f} MB of KV."


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--requests", required=True)
    p.add_argument("--slo-ttft-ms", type=float, default=400)
    p.add_argument("--write", action="store_true")
    p.add_argument("--best", type=int)
    p.add_argument("--rate", type=float)
    p.add_argument("--out", default=str(ROOT / "docs/evidence"))
    a = p.parse_args()
    rows = [json.loads(l) for l in pathlib.Path(a.requests).read_text().splitlines()]
    steps = [r for r in rows if r["kind"] == "step"]
    statics = best_statics([r for r in rows if r["kind"] == "static"])
    if a.best:
        print(" ".join(x.name for x in statics[a.rate][:a.best]))
        return
    visits = []
    for step in sorted({r["step"] for r in steps}):
        of = lambda kind: sorted((r for r in rows if r["kind"] == kind and r["step"] == step), key=lambda r: r["sent"])
        visits.append(Visit(of("step"), of("beside")))
    find_best(visits)
    table_of_steps = steps_table(visits, a.slo_ttft_ms)
    print(summarise(visits) + "\n\n" + table_of_steps)
    if failed := [r for r in rows if r.get("error") or not r.get("decision")]:
        sys.exit(f"{len(failed)} requests failed, the first with: {failed[0].get('error', 'no decision was logged')}")
    if fast := [r for r in rows if too_fast(r)]:
        sys.exit(f"{len(fast)} requests were faster than the link; the first: {fast[0]}")
    if not a.write:
        return
    sent = sorted(r["sent"] for r in visits[0].rows)
    out = pathlib.Path(a.out)
    (out / "shaped_link.svg").write_text(figure(visits, a.slo_ttft_ms))
    if statics:
        (out / "ttft_by_link.svg").write_text(link_figure(*from_visits(statics, visits)))
    (out / "shaped_link.md").write_text(PAGE.format(
        minutes=(max(r["sent"] for r in rows) - min(r["sent"] for r in rows)) / 60 + 0.5, machine=cpu(),
        interval=round(median(b - c for b, c in zip(sent[1:], sent)), 2), lengths=", ".join(str(n) for n in sorted({r["tokens"] for r in steps})),
        slo=a.slo_ttft_ms, bytes=wire_share(steps), summary=summarise(visits), steps=table_of_steps, window=WINDOW - 1,
        count=max((len(s.rows) for v in statics.values() for s in v), default=0), all=max((len(v) for v in statics.values()), default=0),
        arms=max((len({r["asked"] for r in v.beside}) for v in visits), default=0),
        statics=statics_table(statics, visits) if statics else "Not run."))
    print(f"\nwrote {out / 'shaped_link.md'}, shaped_link.svg and ttft_by_link.svg")


if __name__ == "__main__":
    main()
