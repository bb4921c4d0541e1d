#!/usr/bin/env python3
"""An engine that stands still: the node stays alive, is not ready and says why; the coordinator gives it nothing and says so;
all of it heals when the engine goes on. Only what lasts ten times as long as --wedge-s speaks against the node's life.
The engine's thread is held by ptrace; exit 77, which ctest counts as skipped, where that is not allowed."""
import argparse
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from cluster import Cluster
from frozen_thread import Frozen, thread_of

WEDGE_S = 1.0
LONG = 1500  # tokens: a second or more


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def until(what, done, limit=20):
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"not within {limit} s: {what}")
        time.sleep(0.05)


def post(url, tokens):
    body = json.dumps({"prompt": "The king said", "max_tokens": tokens, "ignore_eos": True}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body), timeout=120) as r:
            return r.status, json.loads(r.read())
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


def freeze_in_a_step(c, node, thread):
    """Held within a step, not with a mutex that the node's pages or heartbeats take, be it the allocator's."""
    for _ in range(50):
        held = Frozen(thread)
        held.__enter__()
        try:
            get(node + "/readyz")
            time.sleep(0.6)
            get(node + "/readyz")
            ages = {n["node"]: n["heartbeat_age_ms"] for n in json.loads(c.get("/sluice/v1/nodes"))["nodes"]}
            if ages.get("d0", 1e9) < 450:  # it sends one every 250 ms
                return held
        except OSError:
            pass
        held.__exit__()
        time.sleep(0.01)
    raise SystemExit("the engine always had a mutex")


def stalled_metric(node):
    with urllib.request.urlopen(node + "/metrics", timeout=10) as page:
        return next(line.split()[1] for line in page.read().decode().splitlines() if line.startswith("sluice_engine_stalled "))


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--bin", type=Path, required=True)
    with Cluster(args.parse_args().bin, node_flags=("--wedge-s", str(WEDGE_S))) as c:
        nodes = {n["node"]: n for n in json.loads(c.get("/sluice/v1/nodes"))["nodes"]}
        decode = "http://" + nodes["d0"]["admin_address"]
        for url in (decode, "http://" + nodes["p0"]["admin_address"], c.http):
            assert get(url + "/livez") == (200, {"live": True}), url
            assert get(url + "/readyz")[0] == 200, url
        engine = thread_of(c.pid("d0"), "engine")
        answers = []
        work = threading.Thread(target=lambda: answers.append(post(c.http, LONG)), daemon=True)

        try:
            with Frozen(engine):
                pass
        except PermissionError as why:
            print(f"[SKIPPED] ptrace is not allowed here: {why}")
            sys.exit(77)

        # An engine without work may rest.
        with Frozen(engine):
            time.sleep(2 * WEDGE_S)
            assert get(decode + "/readyz")[0] == 200

        work.start()
        until("a request runs", lambda: c.metric("sluice_requests_running") > 0)
        held = freeze_in_a_step(c, decode, engine)
        try:
            assert work.is_alive(), "the request was over before the engine stood still"
            until("the node is not ready", lambda: get(decode + "/readyz")[0] == 503)
            status, said = get(decode + "/readyz")
            assert "the engine has work and has not moved" in said["why"], said
            assert get(decode + "/livez")[0] == 200
            until("the coordinator knows", lambda: get(c.http + "/readyz")[0] == 503)
            status, said = get(c.http + "/readyz")
            assert said["why"] == "no decode node is ready; 1 registered, but the engine stands still", said
            assert get(c.http + "/livez")[0] == 200
            states = {n["node"]: n["state"] for n in json.loads(c.get("/sluice/v1/nodes"))["nodes"]}
            assert states == {"p0": "ready", "d0": "stalled"}, states
            assert stalled_metric(decode) == "1"
            status, said = post(c.http, 2)
            assert status == 503, (status, said)
            assert not answers

            until("the node does not live", lambda: get(decode + "/livez")[0] == 503, limit=30)
        finally:  # a process whose thread is held does not end
            held.__exit__()
        until("the node is ready again", lambda: get(decode + "/readyz")[0] == 200)
        assert get(decode + "/livez")[0] == 200
        assert stalled_metric(decode) == "0"
        until("the coordinator is ready again", lambda: get(c.http + "/readyz")[0] == 200)
        work.join(60)
        assert answers and answers[0][0] == 200, answers
        assert answers[0][1]["usage"]["completion_tokens"] == LONG
        assert post(c.http, 2)[0] == 200
        print("wedge: noticed, told, healed")


main()
