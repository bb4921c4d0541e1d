#!/usr/bin/env python3
"""What a build spent its time on: the slowest objects and the folders, from ninja's own log.

  CCACHE_DISABLE=1 make demo && tools/build_times.py

Wall times: with as many jobs as cores they are near each object's CPU time on an idle machine, and more on a busy one."""
import argparse
import collections
import pathlib
import re
import sys


def entries(log):
    """The last run of each output: {output: (start_ms, end_ms)}."""
    lines = log.read_text().splitlines()
    if not lines or not lines[0].startswith("# ninja log"):
        sys.exit(f"{log}: this is no log of ninja's")
    found = {}
    for line in lines[1:]:
        start, end, _, output, *_ = line.split("\t")
        found[output] = (int(start), int(end))
    return found


def folder(output):
    return re.sub(r"/?CMakeFiles/.*", "", output) or "precompiled headers"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build", type=pathlib.Path, help="build directory (default: build)")
    ap.add_argument("--most", default=15, type=int, help="rows of each table (default: 15)")
    o = ap.parse_args()
    log = o.build / ".ninja_log"
    if not log.exists():
        sys.exit(f"{log} is not there; build something first")
    objects = {k: v for k, v in entries(log).items() if k.endswith((".o", ".gch"))}
    if not objects:
        sys.exit(f"{log} has no objects")
    took = {k: (end - start) / 1000 for k, (start, end) in objects.items()}
    by_folder = collections.Counter()
    for k, s in took.items():
        by_folder[folder(k)] += s
    first = min(start for start, _ in objects.values())
    last = max(end for _, end in objects.values())
    print(f"{len(objects)} objects, {sum(took.values()):.0f} s of work in {(last - first) / 1000:.0f} s")
    print("\nslowest objects, s")
    for k, s in sorted(took.items(), key=lambda x: -x[1])[: o.most]:
        print(f"{s:7.1f}  {k}")
    print("\nfolders, s")
    for k, s in by_folder.most_common(o.most):
        print(f"{s:7.1f}  {k}")


if __name__ == "__main__":
    main()
