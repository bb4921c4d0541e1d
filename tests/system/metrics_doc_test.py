#!/usr/bin/env python3
"""docs/metrics.md is what a cluster tells, and the labels that it names are those of the series after a request."""
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

from cluster import Cluster

TOOL = Path(__file__).resolve().parents[2] / "tools" / "metrics_doc.py"

with Cluster(sys.argv[1], prefills=1, decodes=1) as c:
    body = json.dumps({"prompt": "The king said", "max_tokens": 4, "ignore_eos": True}).encode()
    urllib.request.urlopen(urllib.request.Request(c.http + "/v1/completions", body), timeout=60).read()
    done = subprocess.run([sys.executable, TOOL, "--url", c.http, "--check"]).returncode
sys.exit(done)
