#!/usr/bin/env python3
"""One long prompt on a slow link: what its KV costs uncompressed, losslessly compressed, and under the profile that the
controller chose, side by side. A part of tools/demo.sh, whose cluster is up.

  tools/demo_link.py --run-dir DIR

Exit 1 when an answer is missing, or when more compression did not mean fewer bytes. Times are shown and not judged: a
busy machine may make any of them long."""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = ROOT / "models" / "sluice-tiny" / "eval" / "heldout.txt"
PROMPT_BYTES = 8000  # some 2,000 tokens, 4 MiB of KV
PROBE_LIMIT_S = 5
RUNS = (("none", ("--profile", "raw")), ("lossless", ("--profile", "ll")), ("controller's", ()))


def sluicectl(run_dir, *args, text=None):
    command = [ROOT / "build" / "bin" / "sluicectl", "--run-dir", run_dir, "--json", *args]
    done = subprocess.run(command, input=text, text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"`sluicectl {' '.join(args)}` failed")
    return json.loads(done.stdout)


def wait_for_probe(run_dir):
    """Until the coordinator has measured the link, which takes a second on one this slow."""
    end = time.monotonic() + PROBE_LIMIT_S
    while time.monotonic() < end:
        nodes = sluicectl(run_dir, "nodes")["nodes"]
        if any(link["bandwidth_bps"] > 0 for n in nodes for link in n["links"]):
            return
        time.sleep(0.1)


def ask(run_dir, flags):
    """The explain block of one answer."""
    # Split, so that there is KV to move.
    return sluicectl(run_dir, "chat", "-", "--max-tokens", "8", "--temperature", "0", "--mode", "split", *flags,
                     text=TEXT.read_text()[:PROMPT_BYTES])["sluice"]


def ms(value):
    return "-" if value is None else f"{value:.0f} ms"


def row(name, s):
    stages = s["stages_ms"]
    return [name, s["profile"], f"{s['kv_wire_bytes'] / 2**20:.2f} MiB", ms(s["ttft_ms"]), ms(s.get("predicted_ttft_ms")),
            *(ms(stages.get(stage)) for stage in ("prefill", "encode", "wire", "decode")), f"{s['quality']['kl']:.4f}"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run-dir", required=True, help="of the cluster, as given to sluicectl")
    o = ap.parse_args()
    wait_for_probe(o.run_dir)
    found = {name: ask(o.run_dir, flags) for name, flags in RUNS}
    table = [["compression", "profile", "on the wire", "TTFT", "predicted", "prefill", "encode", "wire", "decode", "KL"],
             *(row(name, s) for name, s in found.items())]
    widths = [max(len(r[i]) for r in table) for i in range(len(table[0]))]
    for r in table:
        print("  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip())
    raw, lossless, chosen = (found[name] for name, _ in RUNS)
    if not chosen["kv_wire_bytes"] < lossless["kv_wire_bytes"] < raw["kv_wire_bytes"]:
        sys.exit("more compression should mean fewer bytes on the wire")
    print(f"\nOf {raw['kv_raw_bytes'] / 2**20:.1f} MiB of KV {chosen['kv_wire_bytes'] / 2**20:.1f} travelled: "
          f"the first token came after {ms(chosen['ttft_ms'])} instead of {ms(raw['ttft_ms'])}.")


if __name__ == "__main__":
    main()
