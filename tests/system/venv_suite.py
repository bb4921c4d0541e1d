"""What tests share that need packages of PyPI. ctest starts them with any python3; they go on under the one of --venv, which
tools/test_venv.sh made.
"""
import argparse
import os
import sys
import unittest
from pathlib import Path


def enter(*paths, names=False):
    """The command line: --venv, these paths (default: bin), and with `names` the tests to run. Does not return where the venv
    is missing: exit 77 is what ctest counts as skipped.
    """
    parser = argparse.ArgumentParser()
    for path in ("venv", *(paths or ("bin",))):
        parser.add_argument(f"--{path}", type=Path, required=True)
    if names:
        parser.add_argument("names", nargs="*", help="only these, such as Class.test_it")
    args = parser.parse_args()
    python = args.venv / "bin" / "python"
    if not python.exists():
        print(f"[SKIPPED] {python} is missing; tools/test_venv.sh makes it")
        sys.exit(77)
    if Path(sys.prefix) != args.venv.resolve():
        os.execv(python, [str(python), *sys.argv])
    return args


def results(*classes, names=()):
    """unittest's result of the classes of tests, or of those that are named of the program."""
    loader = unittest.defaultTestLoader
    suite = (loader.loadTestsFromNames(names, sys.modules["__main__"]) if names
             else unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in classes))
    return unittest.TextTestRunner(verbosity=2).run(suite)


def run(*classes, names=()):
    """results() of which none failed. A failure raises, so that a Cluster around this shows its logs."""
    result = results(*classes, names=names)
    if not result.wasSuccessful():
        raise SystemExit(1)
    return result
