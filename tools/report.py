"""What the reports of `sluice-bench` have in common: their arguments, its figures, tables."""
import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments(doc: str, out: str) -> argparse.Namespace:
    """--build, --json and --out; out: where to write otherwise, from the root."""
    args = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--build", default="build")
    args.add_argument("--json", help="what the bench printed, instead of running it")
    args.add_argument("--note", default="", help="what a reader should know about this run")
    args.add_argument("--out", type=pathlib.Path, default=ROOT / out)
    return args.parse_args()


def figures(args: argparse.Namespace, suite: str) -> tuple[dict[str, dict], str]:
    """A suite's figures by name, and the machine they were measured on, in words."""
    if args.json:
        data = json.loads(pathlib.Path(args.json).read_text())
    else:
        data = json.loads(subprocess.run([f"{args.build}/bin/sluice-bench", suite, "--json"], cwd=ROOT, check=True,
                                         stdout=subprocess.PIPE, text=True).stdout)
    machine = data.get("machine", {})
    return ({f["name"]: f for f in data["figures"]}, f"{machine.get('cpu', '?')}, {machine.get('cores', '?')} cores")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows]) + "\n"
