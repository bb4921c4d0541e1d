#!/usr/bin/env python3
"""Writes manual pages and completion for bash and zsh from what the six programs' --help says.

    python3 tools/help_pages --bin build/bin --version 0.1.0 --news deploy/packages/changelog.Debian --out build/packaging
"""
import argparse
import email.utils
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import bash  # noqa: E402
import compressed  # noqa: E402
import man  # noqa: E402
import model  # noqa: E402
import zsh  # noqa: E402

PROGRAMS = ("sluice-coordinator", "sluice-prefill", "sluice-decode", "sluicectl", "sluice-bench", "sluice-profiler")


def pages(command, parent=None):
    """(command, parent) of it and of all below it."""
    yield command, parent
    for s in command.subcommands:
        yield from pages(s, command)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", type=Path, required=True)
    args.add_argument("--version", required=True)
    args.add_argument("--news", type=Path, required=True, help="Debian's changelog, whose last date is the pages'")
    args.add_argument("--out", type=Path, required=True)
    args = args.parse_args()
    for folder in ("man", "bash", "zsh"):
        shutil.rmtree(args.out / folder, ignore_errors=True)
        (args.out / folder).mkdir(parents=True)
    signed = next(line for line in args.news.read_text().splitlines() if line.startswith(" -- "))
    date = email.utils.parsedate_to_datetime(signed.split(">  ")[1]).date()
    for program in PROGRAMS:
        command = model.ask(args.bin / program, [program])
        for c, parent in pages(command):
            text = "\n".join(man.page(c, args.version, date, parent)) + "\n"
            compressed.write(args.out / "man" / f"{c.page}.1.gz", text.encode())
        (args.out / "bash" / program).write_text(bash.script(command))
        (args.out / "zsh" / f"_{program}").write_text(zsh.script(command))
    return 0


if __name__ == "__main__":
    sys.exit(main())
