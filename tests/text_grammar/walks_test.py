#!/usr/bin/env python3
"""Random walks of the grammars of corpus.jsonl are JSON that validates under `jsonschema`, formats included.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is
missing and exits 77, which ctest counts as skipped.
"""
import decimal
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
import venv_suite

WALKS = 12


class Tool:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def read(text):
    # Fractions exactly: that 0.07 is no multiple of 0.01 is true of doubles only.
    return json.loads(text, parse_float=decimal.Decimal)


def walks(tool):
    from jsonschema import Draft202012Validator
    decimal.getcontext().prec = 2000
    checker = Draft202012Validator.FORMAT_CHECKER
    count = schemas = 0
    failed = []
    for number, line in enumerate((HERE / "corpus.jsonl").read_text(encoding="utf-8").splitlines()):
        schema = json.loads(line)["schema"]
        # Bounds of more digits than a double has reach the tool as they are in the line.
        answer = tool.ask(schema=schema, walks=WALKS, size=120, seed=number)
        validator = Draft202012Validator(read(line)["schema"], format_checker=checker)
        schemas += 1
        for text in answer["walks"]:
            count += 1
            try:
                error = next(validator.iter_errors(read(text)), None)
            except ValueError as e:
                error = e
            if error is not None:
                failed.append(f"{json.dumps(schema)}\n  {text!r}\n  {str(error)[:200]}")
    print(f"{count} walks of {schemas} schemas, {len(failed)} wrong")
    print("\n".join(failed[:20]))
    return 0 if not failed and schemas >= 300 else 1


def main():
    args = venv_suite.enter("tool")
    return walks(Tool(args.tool))


sys.exit(main())
