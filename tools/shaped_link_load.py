#!/usr/bin/env python3
"""Requests at a steady pace against one coordinator; each with its decision as a line of JSON. Used by shaped_link.sh.

Open loop: a request leaves when it is due, whether or not earlier ones are done; with --interval 0 one after the other.
Prompts are cut from the bundled
model's held-out text, the same for the same index. Ends when every request has.
"""
import argparse
import http.client
import json
import pathlib
import sys
import threading
import time

TEXT = pathlib.Path(__file__).resolve().parent.parent / "models/sluice-tiny/eval/heldout.txt"
TIMEOUT_S = 120


def call(url: str, method: str, path: str, body: dict | None = None, headers: dict | None = None) -> dict:
    c = http.client.HTTPConnection(url, timeout=TIMEOUT_S)
    try:
        c.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"} | (headers or {}))
        r = c.getresponse()
        text = r.read()
        if r.status != 200:
            raise RuntimeError(f"{path}: {r.status} {text.decode(errors='replace')[:300]}")
        return json.loads(text)
    finally:
        c.close()


def wait_ready(url: str, limit_s: float) -> None:
    """Until both nodes are there and the path between them was measured."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        try:
            call(url, "GET", "/health")
            links = [l for n in call(url, "GET", "/sluice/v1/nodes")["nodes"] for l in n.get("links", [])]
            if any(l.get("bandwidth_bps", 0) > 0 for l in links):
                return
        except (OSError, RuntimeError):
            pass
        time.sleep(0.1)
    sys.exit(f"the cluster at {url} did not become ready in {limit_s:.0f} s")


def first_token(url: str, body: dict, request_id: str) -> float:
    """Seconds until the first event of the stream; reads it to its end."""
    c = http.client.HTTPConnection(url, timeout=TIMEOUT_S)
    try:
        sent = time.monotonic()
        c.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json", "x-request-id": request_id})
        r = c.getresponse()
        if r.status != 200:
            raise RuntimeError(f"{r.status} {r.read().decode(errors='replace')[:300]}")
        r.readline()
        took = time.monotonic() - sent
        r.read()
        return took
    finally:
        c.close()


def sequence(a: argparse.Namespace) -> list[dict]:
    """What to send: the controller's requests, or pinned ones in turns, or both with half an interval between them."""
    lengths, kind, step, rate = [int(x) for x in a.prompts.split(",")], *a.label.split()
    out = []

    def add(url: str, kind: str, i: int, name: str, length: int, due: float) -> None:
        out.append({"url": url, "due": due, "kind": kind, "step": int(step), "rate_mbps": float(rate), "index": i, "tokens": length,
                    "asked": name or None, "id": f"{kind}-{step}-{rate}-{name}-{i}-{time.time_ns()}"})

    beside, pins = a.beside_profiles.split(), a.profiles.split() or [""]
    for i in range(a.count):
        # Lengths change when every profile had its turn, so that each meets all of them.
        add(a.url, kind, i, pins[i % len(pins)], lengths[i // len(pins) % len(lengths)], i * a.interval)
        if beside:
            add(a.beside, "beside", i, beside[i % len(beside)], lengths[i // len(beside) % len(lengths)], (i + 0.5) * a.interval)
    return out


def run(a: argparse.Namespace) -> None:
    tokens = call(a.url, "POST", "/tokenize", {"prompt": TEXT.read_text(), "add_special_tokens": False})["tokens"]
    model = call(a.url, "GET", "/v1/models")["data"][0]["id"]
    urls = [a.url] + ([a.beside] if a.beside else [])
    seen = {u: max((d["seq"] for d in call(u, "GET", "/sluice/v1/decisions?limit=1")["decisions"]), default=0) for u in urls}

    def one(r: dict) -> None:
        start = r["index"] * 1301 % (len(tokens) - r["tokens"])
        body = {"model": model, "prompt": tokens[start:start + r["tokens"]], "max_tokens": a.output, "temperature": 0, "ignore_eos": True, "stream": True}
        if r["asked"]:
            body["sluice"] = {"profile": r["asked"]}
        r["sent"] = time.time()
        try:
            r["client_ttft_ms"] = first_token(r["url"], body, r["id"]) * 1e3
        except (OSError, RuntimeError, http.client.HTTPException) as e:
            r["error"] = str(e)

    records, threads = sequence(a), []
    start = time.monotonic()
    for r in records:
        if a.interval > 0:
            time.sleep(max(0.0, start + r["due"] - time.monotonic()))
        threads.append(threading.Thread(target=one, args=(r,)))
        threads[-1].start()
        if a.interval == 0:
            threads[-1].join()
    for t in threads:
        t.join()
    decisions = {d["request_id"]: d for u in urls for d in call(u, "GET", f"/sluice/v1/decisions?after={seen[u]}&limit=1000")["decisions"]
                 if "request_id" in d}
    with open(a.out, "a") as f:
        for r in records:
            f.write(json.dumps(r | {"decision": decisions.get(r["id"])}) + "\n")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--url", required=True, help="host:port")
    p.add_argument("--wait", type=float, help="only wait this many seconds for a ready cluster")
    p.add_argument("--list-profiles", action="store_true", help="only print the profiles within the quality budget")
    p.add_argument("--count", type=int, default=1)
    p.add_argument("--interval", type=float, default=0.5)
    p.add_argument("--prompts", default="1000")
    p.add_argument("--output", type=int, default=4)
    p.add_argument("--profiles", default="", help="pin these, in turns; none leaves the choice to the controller")
    p.add_argument("--beside", default="", help="host:port of a second cluster, for pinned requests in between")
    p.add_argument("--beside-profiles", default="")
    p.add_argument("--label", default="warm 0 0", help="kind, step and Mb/s")
    p.add_argument("--out", default="/dev/stdout")
    a = p.parse_args()
    if a.wait:
        wait_ready(a.url, a.wait)
    elif a.list_profiles:
        print(" ".join(x["name"] for x in call(a.url, "GET", "/sluice/v1/profiles")["profiles"] if x["allowed"]))
    else:
        run(a)


if __name__ == "__main__":
    main()
