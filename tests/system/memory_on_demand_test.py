#!/usr/bin/env python3
"""Chats that set no limit share a small KV memory: real processes.

A decode node with room for four contexts gets 64 chats without max_tokens, whose whole answers together need more than it has.
All of them are answered, 24 run at a time at least, each answer is the undisturbed one, and a request that could never fit
is still told so. In the end nothing is held, and the forecast expects nothing. The undisturbed answers are of another
cluster: what outputs are like is not known beforehand.
"""
import argparse
import json
import threading
import time
import urllib.error
from pathlib import Path

from cluster import Cluster

CHATS, AT_A_TIME, POOL_MIB = 64, 24, 32
DISTINCT = 16
TOKENS = range(200, 1000)  # of an answer; its end is the model's own
LIMIT_S = 60


def ask(c, seed, **more):
    """(text, tokens, why it ended)"""
    body = {"messages": [{"role": "user", "content": f"Tell me what the number {seed} makes you think of, at some length."}],
            "seed": seed, "min_tokens": TOKENS.start, **more}
    said = json.loads(c.ask("/v1/chat/completions", body, timeout_s=LIMIT_S)[2])
    choice = said["choices"][0]
    return choice["message"]["content"], said["usage"]["completion_tokens"], choice["finish_reason"]


def undisturbed(c):
    """Answers that end by themselves in time, by their seeds."""
    found, seed = {}, 0
    while len(found) < DISTINCT:
        answer = ask(c, seed, max_tokens=TOKENS.stop)
        if answer[2] == "stop":
            found[seed] = answer
        seed += 1
        assert seed < 20 * DISTINCT, "the model's answers do not end"
    return found


class Chats:
    """All of them at once; what each got, or why it got nothing."""

    def __init__(self, c, seeds):
        self.got = [None] * CHATS
        self._threads = [threading.Thread(target=self._one, args=(c, i, seeds[i % len(seeds)])) for i in range(CHATS)]

    def _one(self, c, i, seed):
        try:
            self.got[i] = ask(c, seed)
        except urllib.error.HTTPError as e:
            self.got[i] = f"status {e.code}: {e.read().decode()}"
        except OSError as e:
            self.got[i] = f"lost: {e}"

    def start(self):
        for t in self._threads:
            t.start()

    def running(self):
        return any(t.is_alive() for t in self._threads)


def node(c):
    return next(n for n in json.loads(c.ask("/sluice/v1/nodes", at=c.admin)[2])["nodes"] if n["role"] == "decode")


def until(what, holds):
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def check_all(c, alone):
    seeds = list(alone)
    chats, most, shares = Chats(c, seeds), 0, []
    chats.start()
    while chats.running():
        n = node(c)
        most = max(most, n["running"])
        shares.append(n["memory"]["forecast_ratio"])
        time.sleep(0.05)
    wrong = [(i, got) for i, got in enumerate(chats.got) if got != alone[seeds[i % len(seeds)]]]
    assert not wrong, f"{len(wrong)} of {CHATS} answers are not the undisturbed ones, the first: {wrong[0]}"
    memory = node(c)["memory"]
    tokens = [n for _, n, _ in alone.values()]
    print(f"{CHATS} answers of {min(tokens)} to {max(tokens)} tokens, up to {most} at a time, forecast up to "
          f"{100 * max(shares):.0f}% of the memory, {memory['preemptions']} preemptions, margin "
          f"{100 * memory['margin_ratio']:.1f}%")
    assert most >= AT_A_TIME, most
    assert c.metric("sluice_kv_margin_ratio") == memory["margin_ratio"]


def check_never(c):
    try:
        ask(c, 0, max_tokens=4000, messages=[{"role": "user", "content": "again " * 400}])
    except urllib.error.HTTPError as e:
        assert e.code == 400, e.code
        assert "max_tokens" in e.read().decode()
    else:
        raise AssertionError("a request beyond the context was taken")


def check_given_back(c):
    until("all blocks are given back", lambda: node(c)["free_blocks"] == node(c)["total_blocks"])
    memory = node(c)["memory"]
    assert memory["held_blocks"] == 0 and memory["expected_blocks"] == 0 and memory["parked"] == 0, memory


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--bin", required=True, type=Path)
    bin_dir = flags.parse_args().bin
    with Cluster(bin_dir) as c:
        alone = undisturbed(c)
    with Cluster(bin_dir, kv_memory_mib=POOL_MIB) as c:
        check_all(c, alone)
        check_never(c)
        check_given_back(c)
    print("memory on demand: ok")


if __name__ == "__main__":
    main()
