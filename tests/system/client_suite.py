"""What tests of other people's clients share: they go on under the venv that has them, and run against one cluster."""
import importlib.util
import os
import unittest

import venv_suite

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
    args = venv_suite.enter()

    from cluster import Cluster
    # Keys of the environment must not reach anybody, and nothing is to be asked of the internet.
    for name in [n for n in os.environ if n.endswith("_API_KEY") or n.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", LITELLM_LOCAL_MODEL_COST_MAP="True",
                      LANGCHAIN_TRACING_V2="false", OPENAI_API_KEY="none")
    with Cluster(args.bin, **options) as cluster:
        where = cluster.http + "/v1"
        result = venv_suite.run(*suites)
    if len(result.skipped) == result.testsRun:
        print("[SKIPPED] none of the clients is installed")
        return 77
    return 0
