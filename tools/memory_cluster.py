"""The cluster's part of memory_report.py: chats without max_tokens on a decode node with little KV memory, every answer known
beforehand.

A chat's answer is made to end where a trace's did, without telling the server: a first run with max_tokens finds a token that comes
late in the answer, which from then on is the chat's stop token. With its seed the chat then ends there, whoever shares the batch.
"""
import http.client
import json
import random
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from report import ROOT

sys.path.insert(0, str(ROOT / "tests" / "system"))
from cluster import Cluster  # noqa: E402

TINY_MIB, SMALL_MIB, AMPLE_MIB = 4, 32, 256
NEAR_END = 8    # the stop token is sought among so many last ones
SHARED = 4      # chats at a time where nothing may run out


@dataclass
class Chat:
    prompt: str
    seed: int
    stop: int = -1                               # the token that ends it
    ids: list = field(default_factory=list)      # its answer, undisturbed


@dataclass
class Answer:
    ids: list
    at: list        # when each chunk came
    explain: dict
    asked: float


def ask(c, chat, **more):
    """A streamed chat; SystemExit with the server's words where there is no answer."""
    at = urllib.parse.urlsplit(c.http)
    conn = http.client.HTTPConnection(at.hostname, at.port, timeout=300)
    body = {"messages": [{"role": "user", "content": chat.prompt}], "seed": chat.seed, "temperature": 1, "ignore_eos": True,
            "stream": True, "return_token_ids": True, "sluice": {"explain": True}, **more}
    if chat.stop >= 0:
        body["stop_token_ids"] = [chat.stop]
    a = Answer([], [], {}, time.monotonic())
    conn.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    r = conn.getresponse()
    if r.status != 200:
        raise SystemExit(f"a chat was not answered: {r.status} {r.read().decode()}")
    for line in r:
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise SystemExit(f"a chat was not answered: {chunk}")
        a.explain = chunk.get("sluice", a.explain)
        ids = [i for x in chunk.get("choices", []) for i in x.get("token_ids") or []]
        if ids:
            a.ids += ids
            a.at.append(time.monotonic())
    conn.close()
    return a


def prompts(rng, n):
    words = (ROOT / "models" / "sluice-tiny" / "eval" / "heldout.txt").read_text().split()
    for _ in range(n):
        count = rng.randint(20, 120)
        at = rng.randrange(len(words) - count)
        yield " ".join(words[at:at + count])


def known_chats(bin_dir, lengths, seed):
    """Chats whose answers are about that long, with what an undisturbed cluster answers."""
    rng = random.Random(seed)
    chats = [Chat(p, rng.randrange(1 << 30)) for p in prompts(rng, len(lengths))]
    with Cluster(bin_dir, kv_memory_mib=AMPLE_MIB) as c, ThreadPoolExecutor(SHARED) as pool:
        for chat, a in zip(chats, pool.map(lambda x: ask(c, x[0], max_tokens=x[1]), zip(chats, lengths))):
            late = max(range(max(0, len(a.ids) - NEAR_END), len(a.ids)), key=lambda i: a.ids.index(a.ids[i]))
            chat.stop = a.ids[late]
            chat.ids = a.ids[:a.ids.index(chat.stop) + 1]
        for chat, a in zip(chats, pool.map(lambda x: ask(c, x), chats)):
            if a.ids != chat.ids:
                raise SystemExit("an undisturbed chat did not end at its stop token")
    return chats


def at_a_time(answers):
    """(most, mean between the first tenth of the ends and the last): chats that have a token and are not over."""
    ends = sorted(a.at[-1] for a in answers)
    begin, end = min(a.at[0] for a in answers), ends[len(ends) * 7 // 10]
    marks = sorted([(a.at[0], 1) for a in answers] + [(a.at[-1], -1) for a in answers])
    level = most = area = 0
    last = begin
    for t, by in marks:
        area += level * (max(min(t, end), last) - last)
        last = max(min(t, end), last)
        level += by
        most = max(most, level)
    return most, area / max(end - begin, 1e-9)


def burst(bin_dir, chats, told=False, node_flags=(), mib=SMALL_MIB):
    """All chats at once on a small decode node. told: each says its length in max_tokens."""
    with Cluster(bin_dir, kv_memory_mib=mib, node_flags=lambda role: node_flags if role == "decode" else ()) as c, \
            ThreadPoolExecutor(len(chats)) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda x: ask(c, x, **({"max_tokens": len(x.ids)} if told else {})), chats))
        took = max(a.at[-1] for a in answers) - began
    most, held = at_a_time(answers)
    ways = [a.explain["preempted"] for a in answers if "preempted" in a.explain]
    return {"chats": len(chats), "differ": sum(a.ids != x.ids for a, x in zip(answers, chats)), "most": most, "held": held,
            "per_s": len(chats) / took, "answers": len(ways), **{w: sum(x[w] for x in ways) for w in ("swap", "recompute", "return")},
            "equal": sum("preempted" in a.explain and a.ids == x.ids for a, x in zip(answers, chats))}


def preempted(bin_dir, chats, wanted):
    """Bursts on a tiny node, each with a coordinator that has learned nothing, until so many answers were preempted."""
    out = []
    while sum(b["answers"] for b in out) < wanted:
        # Without swap memory every other time: then rows are computed again.
        out.append(burst(bin_dir, chats, node_flags=("--swap-mib", "0") if len(out) % 2 else (), mib=TINY_MIB))
        if sum(b["answers"] for b in out) == 0 and len(out) > 3:
            raise SystemExit("nobody is preempted on a tiny node")
    return {k: sum(b[k] for b in out) for k in ("chats", "differ", "answers", "equal", "swap", "recompute", "return")}
