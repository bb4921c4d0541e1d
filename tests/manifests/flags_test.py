#!/usr/bin/env python3
"""Every flag, configuration key and environment variable of the rendered manifests is one of the program that gets it, by the
program's own --help."""
import argparse
import re
import subprocess
import sys

import rendering

args = argparse.ArgumentParser(description=__doc__)
args.add_argument("--venv", required=True)
args.add_argument("--bin", required=True)
args = args.parse_args()
rendering.enter(args.venv)

from sense import World, pod_template, title  # noqa: E402 (in the venv from here on)

def help_of(program):
    said = subprocess.run([f"{args.bin}/{program}", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--[a-z][a-z0-9-]*", said)), set(re.findall(r"\bSLUICE_[A-Z_]+", said))


KNOWN = {p: help_of(p) for p in ("sluice-coordinator", "sluice-prefill", "sluice-decode")}
faults, seen = set(), set()
for name in ["", *rendering.OVERLAYS, "+hpa"]:
    for objects in (rendering.overlay(name), rendering.chart(name.removeprefix("+"))):
        w = World(objects)
        for o in w.workloads:
            for c in pod_template(o)["spec"]["containers"]:
                program = c["command"][0].rsplit("/", 1)[1]
                if program not in KNOWN:
                    continue
                flags, variables = KNOWN[program]
                for key in w.settings(o):
                    seen.add((program, f"--{key}"))
                    if f"--{key}" not in flags:
                        faults.add(f"{name or 'base'}, {title(o)}: {program} has no --{key}")
                for e in c["env"]:
                    if e["name"].startswith("SLUICE_") and e["name"] not in variables:
                        faults.add(f"{name or 'base'}, {title(o)}: {program} reads no {e['name']}")

print(f"{len(seen)} flags of {len(KNOWN)} programs")
print("\n".join(sorted(faults)))
sys.exit(1 if faults else 0)
