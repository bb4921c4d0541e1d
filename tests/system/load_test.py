#!/usr/bin/env python3
"""`sluicectl bench` against a cluster of one prefill and one decode process: each dataset, both endpoints, closed and open
loop, a ramp, the report. And against a small server that speaks OpenAI's API in another dialect: no usage, no /tokenize,
no version, lines that end in CR LF.

--shots DIR makes the report's pictures for docs/images instead of testing.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import unittest
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from browser import Browser, find_chromium
from cluster import Cluster

cluster = browser = ctl = scratch = None
KEY = "sk-load-test-secret"
SIZES = ((360, 740), (1280, 900))


def bench(*args, url=None, status=0):
    """The JSON, or the error's words where a failure is expected."""
    p = subprocess.run([ctl, "--url", url or cluster.http, "--json", "bench", *map(str, args)], capture_output=True, text=True,
                       timeout=120)
    if p.returncode != status:
        raise AssertionError(f"status {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-2000:]}")
    return json.loads(p.stdout) if status == 0 else p.stderr


def write(name, text):
    path = scratch / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def talks(n):
    return json.dumps([{"id": str(i), "conversations": [
        {"from": "human", "value": f"Chat number {i}: tell me of the king and of his house."},
        {"from": "gpt", "value": "There was a king, and his house stood by the river." + " And so on." * (i % 5)}]}
        for i in range(n)])


class Page(HTMLParser):
    """Well-formed as far as tags go, and what could fetch or run something."""
    VOID = {"meta", "br", "hr", "input", "img", "link", "circle", "line"}

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.tags, self.text = [], [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if tag in ("script", "img", "link", "iframe", "object") or any(k.startswith("on") or k in ("src", "href") for k, _ in attrs):
            self.faults.append(f"{tag} {attrs}")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.text += data


class Load(unittest.TestCase):
    def check(self, r, requests, output_tokens=None):
        self.assertEqual((r["completed"], r["failed"]), (requests, 0), r.get("first_error"))
        if output_tokens:
            self.assertEqual(r["total_output_tokens"], output_tokens)
        self.assertEqual(r["tokens_counted_by"], "usage")
        self.assertLess(0, r["median_ttft_ms"])
        self.assertLessEqual(r["median_ttft_ms"], r["p95_ttft_ms"])
        self.assertLess(0, r["p99_e2el_ms"])  # of a few tokens, all may come at once: TPOT may be 0
        self.assertLess(0, r["client_cpu_us_per_token"])
        self.assertEqual(r["sluice"]["requests"], requests)
        self.assertLess(0, r["sluice"]["kv_raw_bytes"])

    def test_random_on_both_endpoints(self):
        for endpoint in ("completions", "chat"):
            with self.subTest(endpoint):
                r = bench("--endpoint", endpoint, "--requests", 12, "--concurrency", 3, "--input-len", 60, "--output-len", 8,
                          "--range-ratio", 0.2, "--warmup", 2)
                self.check(r, 12)
                self.assertLess(12 * 40, r["total_input_tokens"])
                self.assertLess(r["total_input_tokens"], 12 * 140)
        r = bench("--requests", 6, "--input-len", 50, "--output-len", 9)
        self.assertEqual((r["total_input_tokens"], r["total_output_tokens"]), (300, 54))
        self.assertEqual(r["latency_from"], "sent")

    def test_prefix_on_both_endpoints(self):
        for endpoint in ("completions", "chat"):
            with self.subTest(endpoint):
                self.check(bench("--dataset", "prefix", "--endpoint", endpoint, "--prefix-groups", 2, "--prefix-len", 80,
                                 "--input-len", 20, "--output-len", 6, "--requests", 8), 8, 48)

    def test_multi_turn_on_both_endpoints(self):
        for endpoint in ("completions", "chat"):
            with self.subTest(endpoint):
                r = bench("--dataset", "multi-turn", "--endpoint", endpoint, "--turns", 3, "--think-time-s", 0.05,
                          "--input-len", 20, "--output-len", 8, "--requests", 12, "--concurrency", 2)
                self.check(r, 12, 96)
                # The prompts of turns 2 and 3 hold what was said before.
                self.assertLess(4 * 20 * 3 * 1.5, r["total_input_tokens"])

    def test_sharegpt_on_both_endpoints(self):
        file = write("sharegpt.json", talks(20))
        for endpoint in ("completions", "chat"):
            with self.subTest(endpoint):
                r = bench("--dataset", "sharegpt", "--dataset-file", file, "--endpoint", endpoint, "--requests", 8,
                          "--ignore-eos", "yes")
                self.check(r, 8)
        few = bench("--dataset", "sharegpt", "--dataset-file", file, "--requests", 25, "--ignore-eos", "yes")
        self.assertTrue(any("20 prompts" in n for n in few["notes"]), few["notes"])

    def test_file_on_both_endpoints(self):
        lines = [{"prompt": "Tell me of the river.", "max_tokens": 5}, {"prompt": "And of the stone?"}]
        file = write("prompts.jsonl", "".join(json.dumps(x) + "\n" for x in lines))
        self.check(bench("--dataset", "file", "--dataset-file", file, "--requests", 4, "--output-len", 7,
                         "--ignore-eos", "yes"), 4, 2 * 5 + 2 * 7)
        lines.append({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}], "max_tokens": 6})
        file = write("chats.jsonl", "".join(json.dumps(x) + "\n" for x in lines))
        self.check(bench("--dataset", "file", "--dataset-file", file, "--endpoint", "chat", "--requests", 3, "--output-len", 7,
                         "--ignore-eos", "yes"), 3, 18)

    def test_trace_on_both_endpoints(self):
        file = write("trace.jsonl", "".join(json.dumps({"timestamp": 400 * i, "input_length": 600, "output_length": 6,
                                                        "hash_ids": [1, i]}) + "\n" for i in range(5)))
        for endpoint in ("completions", "chat"):
            with self.subTest(endpoint):
                r = bench("--trace", file, "--time-scale", 0.5, "--endpoint", endpoint)
                self.check(r, 5, 30)
                self.assertLess(0.8, r["duration"])
                self.assertEqual(r["latency_from"], "due")

    def test_open_loop_and_objectives(self):
        for arrival in (["--arrival", "constant"], ["--burstiness", 0.5], []):
            with self.subTest(arrival):
                r = bench("--requests", 12, "--rate", 40, "--input-len", 40, "--output-len", 5, "--slo-ttft-ms", 60000,
                          "--goodput", "tpot:60000", *arrival)
                self.check(r, 12, 60)
                self.assertEqual(r["slo_attainment"], 1)
                self.assertAlmostEqual(r["request_goodput"], r["request_throughput"])

    def test_ramp_and_report(self):
        report = scratch / "ramp.html"
        p = subprocess.run([ctl, "--url", cluster.http, "bench", "--rates", "5,20", "--requests", "10", "--header",
                            f"x-secret: {KEY}", "--input-len", "40", "--output-len", "6", "--slo-ttft-ms", "60000", "--report", report],
                           capture_output=True, text=True, timeout=120, env={**os.environ, "SLUICE_API_KEY": KEY})
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(p.stderr, "")  # no terminal, no progress
        self.assertIn("knee: 20 requests/s", p.stdout)
        self.assertNotIn(KEY, report.read_text())
        page = self.page(report)
        self.assertIn("By rate", page.text)
        self.assertEqual(page.tags["svg"], 4)

    def test_plain_report_in_a_browser(self):
        report = scratch / "plain.html"
        bench("--requests", 20, "--input-len", 60, "--output-len", 10, "--slo-ttft-ms", 5000, "--slo-tpot-ms", 500, "--report", report)
        page = self.page(report)
        self.assertEqual(page.tags["svg"], 5)
        for words in ("Set-up", "sluicectl", "sluice-tiny", "KV, as Sluice explains it", "median TTFT", "client machine"):
            self.assertIn(words, page.text)
        if browser is None:
            print("[no chromium: the page was only parsed]", file=sys.stderr)
            return
        tab = browser.open()
        for size in SIZES:
            for dark in (False, True):
                tab.shape(*size, dark=dark)
                tab.go(report.as_uri())
                tab.until("document.querySelectorAll('svg').length === 5")
                self.assertLessEqual(tab.run("document.documentElement.scrollWidth"), size[0])
                ground = tab.run("getComputedStyle(document.body).backgroundColor")
                self.assertEqual(sum(map(int, ground[4:-1].split(","))) < 200, dark, ground)
                # What is written in a plot can be read: at least 9 px high on a phone.
                self.assertGreater(tab.run("10.5 * document.querySelector('svg').getBoundingClientRect().width / 360"), 8.9)
        self.assertEqual(tab.faults, [])
        self.assertTrue(all(u.startswith(("file:", "about:")) for u in tab.requests), tab.requests)

    def page(self, file):
        page = Page()
        page.feed(file.read_text())
        page.close()
        self.assertEqual((page.faults, page.open), ([], []))
        return page

    def test_errors_are_counted_by_kind(self):
        r = bench("--requests", 4, "--extra-body", '{"temperature": -1}', status=1)
        self.assertEqual(r, "")
        p = subprocess.run([ctl, "--url", cluster.http, "--json", "bench", "--requests", "4", "--extra-body", '{"temperature": -1}'],
                           capture_output=True, text=True)
        r = json.loads(p.stdout)
        self.assertEqual((r["completed"], r["errors"]), (0, {"HTTP 400": 4}))
        self.assertIn("temperature", r["first_error"])

    def test_what_makes_no_sense_is_refused(self):
        broken = write("broken.jsonl", '{"prompt": "a"}\n{"prompt": 5}\n')
        bomb = write("bomb.json", "[" * 100000)
        binary = write("binary.json", bytes(range(256)) * 10)
        for words, args in {
            "line 2": ("--dataset", "file", "--dataset-file", broken),
            "line 1": ("--dataset", "sharegpt", "--dataset-file", bomb),
            "JSON list": ("--dataset", "sharegpt", "--dataset-file", binary),
            "TIMESTAMP": ("--trace", binary),
            "--dataset-file": ("--dataset", "sharegpt"),
            "--time-scale": ("--trace", write("t.jsonl", '{"timestamp": 0, "input_length": 1, "output_length": 1}'), "--rate", 1),
            "--rates must rise": ("--rates", "4,2"),
            "give one of them": ("--slo-ttft-ms", 5, "--goodput", "ttft:6"),
            "does not serve": ("--model", "nothing"),
            "--extra-body": ("--extra-body", "[1]"),
            "no header": ("--header", "x"),
            "--turns": ("--dataset", "multi-turn", "--turns", 50, "--input-len", 500),
        }.items():
            with self.subTest(words):
                self.assertIn(words, bench(*args, status=1))
        self.assertIn("sluicectl up", bench(url="http://127.0.0.1:1", status=1))


class OtherServer(BaseHTTPRequestHandler):
    """Another server's dialect of the API."""
    protocol_version = "HTTP/1.1"
    bodies = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path != "/base/v1/models":
            return self.send_error(404)
        body = json.dumps({"object": "list", "data": [{"id": "other-model"}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path not in ("/base/v1/chat/completions", "/base/v1/completions"):
            return self.send_error(404)
        self.bodies.append(body)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        chat = "chat" in self.path
        say = lambda text: {"choices": [{"index": 0, "delta": {"content": text}} if chat else {"index": 0, "text": text}]}
        events = [say(f" word{i}") for i in range(body["max_tokens"])]
        if chat:
            events.insert(0, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for e in [": ping", *("data:" + json.dumps(e) for e in events), "data: [DONE]"]:
            piece = (e + "\r\n\r\n").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


class AnotherServer(unittest.TestCase):
    def test_any_server_of_the_api(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), OtherServer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            for endpoint in ("completions", "chat"):
                with self.subTest(endpoint):
                    OtherServer.bodies.clear()
                    r = bench("--endpoint", endpoint, "--requests", 5, "--output-len", 7, "--no-usage", "--ignore-eos", "no",
                              "--extra-body", '{"top_k": 5}', url=f"http://127.0.0.1:{server.server_port}/base/v1")
                    self.assertEqual((r["completed"], r["total_output_tokens"], r["tokens_counted_by"]), (5, 35, "chunks"))
                    self.assertTrue(any("no usage" in n for n in r["notes"]))
                    self.assertTrue(any("/tokenize" in n for n in r["notes"]))
                    self.assertEqual(r["setup"]["version"], "unknown")
                    self.assertNotIn("sluice", r)
                    q = OtherServer.bodies[0]
                    self.assertEqual((q["model"], q["top_k"]), ("other-model", 5))
                    self.assertFalse({"ignore_eos", "stream_options", "sluice"} & set(q))
        finally:
            server.shutdown()


def take_pictures(folder):
    """Of a plain test its top, wide and light; of a ramp its top on a phone, dark."""
    folder.mkdir(parents=True, exist_ok=True)
    load = ("--input-len", 300, "--range-ratio", 0.6, "--output-len", 48, "--slo-ttft-ms", 150, "--slo-tpot-ms", 12, "--warmup", 4)
    for name, shape, dark, end, args in (
            ("load", (1000, 900), False, "section:nth-of-type(2)", ("--rate", 8, "--requests", 200)),
            ("load-ramp-phone", (360, 740), True, "section:nth-of-type(1)", ("--rates", "2,4,8,16,32,64", "--requests", 60))):
        report = scratch / f"{name}.html"
        bench(*args, *load, "--report", report)
        tab = browser.open()
        tab.shape(*shape, dark=dark)
        tab.go(report.as_uri())
        tab.until("document.querySelectorAll('svg').length >= 4")
        tab.shot(folder / f"{name}.png", tab.run(f"document.querySelector('{end}').getBoundingClientRect().bottom + 12"))


def main():
    global browser, cluster, ctl, scratch
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--shots", type=Path)
    args = args.parse_args()
    ctl = args.bin / "sluicectl"
    program = find_chromium()
    if args.shots and program is None:
        raise SystemExit("pictures need a chromium")
    with tempfile.TemporaryDirectory() as folder, Cluster(args.bin) as cluster:
        scratch = Path(folder)
        browser = Browser(program).__enter__() if program else None
        try:
            if args.shots:
                take_pictures(args.shots)
                return 0
            result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
        finally:
            if browser:
                browser.__exit__(None, None, None)
        if not result.wasSuccessful():
            raise SystemExit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
