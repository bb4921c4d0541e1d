#!/usr/bin/env python3
"""A cluster that changes a role by itself, with real processes: two prefill and two decode nodes, `--auto-roles`.

Short prompts first: nothing changes. Then long prompts with short answers come, half as many as one node would compute and more
than two compute without a queue, which is what the objective asks for: a decode node becomes a prefill node, and serves as one. Every
request is answered in full, and the log says why the change came.
"""
import argparse
import json
import itertools
import threading
import time
from pathlib import Path

from cluster import MODEL, Cluster
from role_change_test import role_events, until

CLIENTS, CALM_S, LIMIT_S = 6, 4, 45
TOKENS, SHORT, LONG = 4, 8, 600  # words of a prompt
BUSY = 0.5  # of one prefill node's time


class Shifting:
    """Clients that ask in turns. No two prompts begin alike, so that none is known already."""

    def __init__(self, c):
        self.words, self.interval_s, self.bad, self.answered = SHORT, 0.1, [], 0
        self._next, self._turn = time.monotonic(), threading.Lock()
        self._c, self._end, self._numbers = c, threading.Event(), itertools.count()
        self._text = (MODEL / "eval" / "heldout.txt").read_text().split()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def ask(self, words):
        prompt = f"{next(self._numbers)}: " + " ".join(self._text[:words])
        return json.loads(self._c.ask("/v1/completions", {
            "prompt": prompt, "max_tokens": TOKENS, "ignore_eos": True, "temperature": 0})[2])["usage"]["completion_tokens"]

    def _run(self):
        while not self._end.is_set():
            with self._turn:
                self._next = max(self._next + self.interval_s, time.monotonic())
                wait = self._next - time.monotonic()
            time.sleep(max(wait, 0))
            try:
                made = self.ask(self.words)
                if made != TOKENS:
                    self.bad.append(made)
            except OSError as e:  # what HTTP refuses, too
                self.bad.append(str(e))
            self.answered += 1

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for t in self._threads:
            t.join()


def by_role(c):
    nodes = json.loads(c.get("/sluice/v1/nodes"))["nodes"]
    return {role: {n["node"]: n for n in nodes if n["role"] == role} for role in ("prefill", "decode")}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True, type=Path)
    flags = ("--auto-roles", "--slo-ttft-ms", "5", "--slo-tpot-ms", "200")
    with Cluster(a.parse_args().bin.resolve(), prefills=2, decodes=2, coordinator_flags=flags) as c:
        changes = lambda label="": c.metric("sluice_role_changes_total", label)
        load = Shifting(c)

        def alone():
            at = time.monotonic()
            load.ask(LONG)
            return time.monotonic() - at

        prompt_s = sorted(alone() for _ in range(5))[2]
        with load:
            time.sleep(CALM_S)  # a load that the split is right for: its length is the point, nothing is awaited
            assert changes() == 0 and not role_events(c), role_events(c)
            load.words, load.interval_s, at = LONG, prompt_s / BUSY, time.monotonic()
            until("a decode node became a prefill node", lambda: changes('reason="balance"') == 1, LIMIT_S)
            took = time.monotonic() - at
            new = next(iter(set(by_role(c)["prefill"]) - {"p0", "p1"}))
            served = by_role(c)["prefill"][new]["requests"]
            until("it computes prompts", lambda: by_role(c)["prefill"][new]["requests"] > served)
        assert not load.bad, load.bad[:3]
        assert len(by_role(c)["decode"]) == 1
        assert changes('to="prefill"') == 1 and changes() == 1
        why = next(line for line in c.log("coordinator").splitlines() if "a node changes its role" in line)
        print(f"{new} became a prefill node {took:.1f} s after the load had shifted; {load.answered} requests, all answered\n{why}")


if __name__ == "__main__":
    main()
