#!/usr/bin/env python3
"""A real Prometheus with exemplar storage scrapes a coordinator: the exemplars that it keeps name real requests.

Exit 77, which ctest counts as skipped, where Prometheus is not installed.
"""
import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cluster import Cluster
from processes import die_with_parent, stop_all

CONFIG = """
scrape_configs:
  - job_name: coordinator
    scrape_interval: 1s
    static_configs: [{targets: ["%s"]}]
"""
HISTOGRAMS = ("sluice_ttft_seconds", "sluice_itl_seconds", "sluice_tpot_seconds", "sluice_e2e_seconds",
              "vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds")
LIMIT_S = 60


def get(url, headers=()):
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=10) as r:
        return r.read().decode(), r.headers["content-type"]


def ask(url, name):
    body = json.dumps({"prompt": "The king said", "max_tokens": 6, "ignore_eos": True}).encode()
    urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body, {"x-request-id": name}), timeout=60).read()


def until(done, what):
    end = time.monotonic() + LIMIT_S
    while True:
        try:
            if done():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() > end:
            raise SystemExit(f"not within {LIMIT_S} s: {what}")
        time.sleep(0.2)


def run(bin_dir, work):
    asked = {f"asked-{i}" for i in range(4)}
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % s.getsockname()[1]
    with Cluster(bin_dir) as c:
        for name in sorted(asked):
            ask(c.http, name)
        plain, kind = get(c.http + "/metrics")
        assert kind == "text/plain; version=0.0.4; charset=utf-8" and "# {" not in plain, kind
        text, kind = get(c.http + "/metrics", {"accept": "application/openmetrics-text"})
        assert kind.startswith("application/openmetrics-text; version=1.0.0") and text.endswith("# EOF\n"), kind
        config = work / "prometheus.yml"
        config.write_text(CONFIG % c.http.removeprefix("http://"))
        with open(work / "prometheus.log", "wb") as log:
            prometheus = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work / 'data'}",
                 f"--web.listen-address={address}", "--enable-feature=exemplar-storage"],
                stdout=log, stderr=log, preexec_fn=die_with_parent)

        def api(path, **params):
            return json.loads(get(f"http://{address}/api/v1/{path}?{urllib.parse.urlencode(params)}")[0])["data"]

        def named(histogram):
            now = time.time()
            found = api("query_exemplars", query=histogram + "_bucket", start=now - 3600, end=now + 60)
            return {e["labels"].get("request_id") for series in found for e in series["exemplars"]}

        try:
            until(lambda: [t["health"] for t in api("targets")["activeTargets"]] == ["up"], "a good scrape")
            until(lambda: all(named(h) for h in HISTOGRAMS), "exemplars of all histograms")
            for h in HISTOGRAMS:
                assert named(h) <= asked, (h, named(h))
            # Counters keep their names, and histograms can be summed up.
            found = api("query", query="sluice_output_tokens_total")["result"]
            assert [s["value"][1] for s in found] == ["24"], found
            quantile = api("query", query="histogram_quantile(0.9, sluice_ttft_seconds_bucket)")["result"]
            assert float(quantile[0]["value"][1]) > 0, quantile
        except BaseException:
            print((work / "prometheus.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            stop_all([prometheus])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bin", type=Path, required=True)
    args = args.parse_args()
    if not shutil.which("prometheus"):
        print("[SKIPPED] prometheus is missing; `tools/install_deps.sh test` installs it")
        return 77
    work = Path(tempfile.mkdtemp(prefix="sluice-exemplars-"))
    try:
        run(args.bin, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
