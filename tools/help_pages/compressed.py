#!/usr/bin/env python3
"""gzip whose bytes depend on nothing but the contents: neither names nor times."""
import argparse
import gzip
from pathlib import Path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("files", nargs="+", type=Path)
    args.add_argument("--out", type=Path, required=True)
    args = args.parse_args()
    for f in args.files:
        name = "changelog.gz" if f.name == "CHANGELOG.md" else f.name + ".gz"
        write(args.out / name, f.read_bytes())


if __name__ == "__main__":
    main()
