#!/usr/bin/env python3
"""What hostile clients cost the others: small requests measured with and without them, in turns, on one real cluster.

Usage: tools/hostile_clients.py [--bin build/bin] [--rounds N] [--seconds S] [--only text|variables|slow] [--crowd N] [--json FILE]

A cluster of one prefill and two decode nodes serves the bundled model. Four small clients ask one request after another:
undisturbed for S seconds, then as long while hostile clients, each a process of its own, do the same things at once: post
prompts of 15 MB (over N connections), post chats with 60,000 template variables, trickle headers over 2,000 connections. Printed are median and
99th percentile of each phase, and the medians over rounds of their ratios. Rounds are pairs, so that what else the machine
does falls on both sides. A third phase has the hostile clients talk to a sink that accepts and never reads: what they cost
the others merely by running on the same machine. Exit 1 when a small request failed, an answer differed, or a node was lost; a ratio fails nothing.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
from cluster import Cluster  # noqa: E402

CLIENTS = 4
PROMPTS = 5
CONNECTIONS = 2000


def post(connection, path, body):
    connection.request("POST", path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def flood(address, path, body):
    connection = http.client.HTTPConnection(address, timeout=300)
    while True:
        try:
            post(connection, path, body)
        except (http.client.HTTPException, OSError):
            connection.close()


def text(address, crowd):
    body = json.dumps({"prompt": "the quick brown fox " * 750_000, "max_tokens": 1})
    for _ in range(crowd - 1):
        threading.Thread(target=flood, args=(address, "/v1/completions", body), daemon=True).start()
    flood(address, "/v1/completions", body)


def variables(address, _):
    names = {f"name{i}": i for i in range(60_000)}
    flood(address, "/v1/chat/completions",
          json.dumps({"messages": [{"role": "user", "content": "hi"}], "chat_template_kwargs": names}))


def slow(address, _):
    host, port = address.rsplit(":", 1)
    open_ = {}
    while True:
        for i in range(CONNECTIONS):
            try:
                if i not in open_:
                    open_[i] = socket.create_connection((host, int(port)), timeout=5)
                    open_[i].sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n")
                else:
                    open_[i].sendall(b"x-slow: yes\r\n")
            except OSError:
                open_.pop(i, None)
        time.sleep(0.2)


HOSTILE = {"text": text, "variables": variables, "slow": slow}


def sink(told):
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    told.put(server.getsockname()[1])
    kept = []
    while True:
        kept.append(server.accept()[0])


class Phase:
    """Small clients over one stretch of time."""

    def __init__(self, address, seconds, expected):
        self.ms, self.failed, self.differ = [], 0, 0
        self._address, self._end, self._expected = address, time.monotonic() + seconds, expected
        threads = [threading.Thread(target=self._client, args=(i,)) for i in range(CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def _client(self, who):
        connection = http.client.HTTPConnection(self._address, timeout=120)
        k = 0
        while time.monotonic() < self._end:
            prompt = f"Hello {who}, number {k % PROMPTS}"
            k += 1
            body = json.dumps({"prompt": prompt, "max_tokens": 12, "ignore_eos": True, "temperature": 0, "seed": 3})
            begun = time.monotonic()
            status, answer = post(connection, "/v1/completions", body)
            self.ms.append((time.monotonic() - begun) * 1e3)
            if status != 200:
                self.failed += 1
                continue
            said = json.loads(answer)["choices"][0]["text"]
            self.differ += self._expected.setdefault(prompt, said) != said
            time.sleep(0.01)

    def quantile(self, q):
        ordered = sorted(self.ms)
        return ordered[int(q * (len(ordered) - 1))]


def attack(name, address, nice, crowd):
    os.nice(nice)
    HOSTILE[name](address, crowd)


def beside(address, names, expected, args):
    """The hostile clients talk to a sink: what they cost merely by running here."""
    told = multiprocessing.Queue()
    server = multiprocessing.Process(target=sink, args=(told,), daemon=True)
    server.start()
    phase = disturbed(address, f"127.0.0.1:{told.get()}", names, expected, args)
    server.kill()
    server.join()
    return phase


def disturbed(address, target, names, expected, args):
    hostile = [multiprocessing.Process(target=attack, args=(n, target, args.nice, args.crowd), daemon=True) for n in names]
    for p in hostile:
        p.start()
    time.sleep(1.5)  # until all connections are there
    phase = Phase(address, args.seconds, expected)
    for p in hostile:
        p.kill()
    for p in hostile:
        p.join()
    time.sleep(1)
    return phase


def rounds(address, names, args):
    expected, pairs, bad = {}, [], 0
    Phase(address, 2, expected)  # what is learned of nodes and links at first
    for r in range(args.rounds):
        quiet = Phase(address, args.seconds, expected)
        apart = beside(address, names, expected, args)
        loud = disturbed(address, address, names, expected, args)
        bad += sum(phase.failed + phase.differ for phase in (quiet, apart, loud))
        pairs.append({f"{what}_{name}_ms": phase.quantile(q) for what, phase in (("quiet", quiet), ("beside", apart), ("loud", loud))
                      for name, q in (("p50", 0.5), ("p99", 0.99))} |
                     {"quiet_requests": len(quiet.ms), "loud_requests": len(loud.ms)})
        print(f"round {r + 1}: undisturbed p50 {pairs[-1]['quiet_p50_ms']:.1f} p99 {pairs[-1]['quiet_p99_ms']:.1f} ms "
              f"({len(quiet.ms)}), beside p99 {pairs[-1]['beside_p99_ms']:.1f} ms, disturbed p50 {pairs[-1]['loud_p50_ms']:.1f} p99 {pairs[-1]['loud_p99_ms']:.1f} ms "
              f"({len(loud.ms)}); failed {loud.failed}, other tokens {loud.differ}", flush=True)
    return pairs, bad


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--bin", type=Path, default=ROOT / "build" / "bin")
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--seconds", type=float, default=8)
    parse.add_argument("--only", choices=list(HOSTILE))
    parse.add_argument("--nice", type=int, default=0,
                       help="of the hostile processes; 19 leaves the cores to the cluster, as clients elsewhere do")
    parse.add_argument("--crowd", type=int, default=1, help="connections that post prompts of 15 MB")
    parse.add_argument("--json", type=Path)
    args = parse.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))  # the coordinator's, too
    names = [args.only] if args.only else list(HOSTILE)
    with Cluster(args.bin, prefills=1, decodes=2, coordinator_flags=["--max-connections", "4096"]) as cluster:
        address = cluster.http.removeprefix("http://")
        pairs, bad = rounds(address, names, args)
        lost = cluster.log("coordinator").count("node lost")
    result = {f"{q}_ratio": statistics.median(p[f"loud_{q}_ms"] / p[f"quiet_{q}_ms"] for p in pairs)
              for q in ("p50", "p99")}
    result["p99_ratio_beside"] = statistics.median(p["beside_p99_ms"] / p["quiet_p99_ms"] for p in pairs)
    result |= {key: statistics.median(p[key] for p in pairs) for key in pairs[0]}
    result |= {"hostile": names, "rounds": len(pairs), "bad_answers": bad, "nodes_lost": lost}
    print(f"medians over {len(pairs)} rounds: p50 x {result['p50_ratio']:.2f}, p99 x {result['p99_ratio']:.2f} "
          f"(x {result['p99_ratio_beside']:.2f} when they talk to a sink); "
          f"bad answers {bad}, nodes lost {lost}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if bad or lost else 0


if __name__ == "__main__":
    sys.exit(main())
