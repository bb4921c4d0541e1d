#!/usr/bin/env python3
"""docs/metrics.md is what a cluster tells, and the labels that it names are those of the series after a request."""
import argparse
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from cluster import Cluster

TOOL = Path(__file__).resolve().parents[2] / "tools" / "metrics_doc.py"

args = argparse.ArgumentParser(description=__doc__)
args.add_argument("--bin", type=Path, required=True)
with Cluster(args.parse_args().bin, prefills=1, decodes=1) as c:
    body = json.dumps({"prompt": "The king said", "max_tokens": 4, "ignore_eos": True}).encode()
    urllib.request.urlopen(urllib.request.Request(c.http + "/v1/completions", body), timeout=60).read()
    done = subprocess.run([sys.executable, TOOL, "--url", c.http, "--check"]).returncode
sys.exit(done)
