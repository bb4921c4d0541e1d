"""What tests of other people's clients share: they go on under the venv that has them, and run against one cluster."""
import argparse
import importlib.util
import os
import sys
import unittest
from pathlib import Path

MODEL = "sluice-tiny"
where = None  # the base URL, with /v1
cluster = None


def needs(*packages):
    """Skips a class, visibly, where the venv lacks what it is about."""
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    return unittest.skipIf(missing, f"{', '.join(missing)}: not in this venv")


def run(*suites, **options):
    """Runs the classes against Cluster(**options); 77, which ctest counts as skipped, without the venv or where no test could run."""
    global cluster, where
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--bin", type=Path, required=True)
    args = parser.parse_args()
    python = args.venv / "bin" / "python"
    if not python.exists():
        print(f"[SKIPPED] {python} is missing; tools/test_venv.sh makes it")
        return 77
    if Path(sys.prefix) != args.venv.resolve():
        os.execv(python, [str(python), *sys.argv])

    from cluster import Cluster
    # Keys of the environment must not reach anybody, and nothing is to be asked of the internet.
    for name in [n for n in os.environ if n.endswith("_API_KEY") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True",
                      LANGCHAIN_TRACING_V2="false", OPENAI_API_KEY="none")
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    with Cluster(args.bin, **options) as cluster:
        where = cluster.http + "/v1"
        result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(load(s) for s in suites))
        if not result.wasSuccessful():
            raise SystemExit(1)
    if len(result.skipped) == result.testsRun:
        print("[SKIPPED] none of the clients is installed")
        return 77
    return 0
