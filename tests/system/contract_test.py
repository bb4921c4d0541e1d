#!/usr/bin/env python3
"""A real cluster held to its own /openapi.json: schemathesis makes requests from it, right ones and wrong ones, and reads
every answer by it. No answer may be a 5xx, of a status or a shape that is not described, or take what the description
forbids.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Not asked: that all which the schema allows is accepted. What a schema cannot say (prompts that fit the context, token
# ids of the vocabulary, top_logprobs only with logprobs) is refused with 400, and the description has that.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "negative_data_rejection", "unsupported_method"]
SEED = 17


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=20, help="requests made for each operation and phase")
    args = parser.parse_args()
    tool = args.venv / "bin" / "schemathesis"
    if not tool.exists():
        print(f"[SKIPPED] {tool} is missing; tools/test_venv.sh makes it")
        return 77
    from cluster import Cluster
    # A short context keeps answers short where a request sets no bound.
    with Cluster(args.bin, coordinator_flags=["--max-model-len", "128"]) as cluster, \
            tempfile.TemporaryDirectory() as scratch:
        paths = json.loads(cluster.get("/openapi.json"))["paths"]
        known = {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/tokenize", "/sluice/v1/status"}
        assert known <= set(paths), sorted(paths)
        begun = time.monotonic()
        done = subprocess.run(
            [tool.resolve(), "run", cluster.http + "/openapi.json", "--checks", ",".join(CHECKS), "--seed", str(SEED),
             "--phases", "examples,coverage,fuzzing", "--max-examples", str(args.examples),
             "--generation-deterministic", "--request-timeout", "60",
             "--exclude-operation-id", "drain",  # it learns the nodes' names, and drains them,
             "--exclude-operation-id", "changeRole",  # or makes them change their roles
             "--suppress-health-check", "all", "--continue-on-failure", "--no-color", "--warnings", "off"],
            cwd=scratch, env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": scratch})
        print(f"{len(paths)} paths in {time.monotonic() - begun:.0f} s")
        # Nothing that was asked may have hurt it.
        health = json.loads(cluster.get("/health"))
        assert (health["prefill_nodes"], health["decode_nodes"]) == (1, 1), health
        cluster.ask("/sluice/v1/slo", {"ttft_ms": 60000, "tpot_ms": 60000}, method="PUT")
        cluster.ask("/v1/completions", {"prompt": "Hello", "max_tokens": 4})
        return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
