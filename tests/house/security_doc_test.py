#!/usr/bin/env python3
"""docs/security.md names a test for each rule: each must be in the file that it says. Usage: security_doc_test.py ROOT"""
import re
import sys
from pathlib import Path

LEAST_RULES = 20
RULE = re.compile(r"^\| (\d+) \| (.+) \| `([^`]+)`: (.+) \|$", re.M)


def missing(page, root):
    """What is wrong with the page's rules."""
    wrong = []
    rules = RULE.findall(page)
    rows = re.findall(r"^\| \d+ \|", page, re.M)
    if len(rules) != len(rows):
        wrong.append(f"{len(rows) - len(rules)} rules are not of the form: number, rule, `file`: test")
    if len(rules) < LEAST_RULES:
        wrong.append(f"{len(rules)} rules, at least {LEAST_RULES} are expected")
    if [int(n) for n, *_ in rules] != list(range(1, len(rules) + 1)):
        wrong.append("the rules are not numbered 1, 2, 3")
    for number, _, file, name in rules:
        path = root / file
        form = f"def {name}(" if file.endswith(".py") else f'"{name}"'
        # A long name may stand on a line of its own, and clang-format may have broken the string.
        text = re.sub(r'"\s*\n\s*"', "", path.read_text()) if path.exists() else ""
        if form not in text:
            wrong.append(f"rule {number}: there is no test '{name}' in {file}")
    return wrong


def main():
    root = Path(sys.argv[1])
    page = (root / "docs" / "security.md").read_text()
    # The check itself can fail.
    assert missing(page.replace("test_nodes_prove_their_role", "test_nodes_prove_nothing"), root)
    assert missing(page.replace("| 7 |", "| 8 |"), root)
    wrong = missing(page, root)
    for w in wrong:
        print(w, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
