"""The tools that tools/manifests_venv.sh puts into BUILD/venv-manifests, and rendering with them."""
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "sluice"
NAMESPACE = "sluice"
OVERLAYS = sorted(d.name for d in (KUBERNETES / "overlays").iterdir())

_venv = None


def enter(venv):
    """Goes on in the venv's Python; exit 77 where there is no venv."""
    global _venv
    _venv = Path(venv).absolute()
    python = _venv / "bin" / "python"
    if not (_venv / ".sluice").exists():
        print(f"[SKIPPED] no kubectl, helm and validators in {_venv}; `tools/manifests_venv.sh build` installs them")
        sys.exit(77)
    if not os.path.samefile(sys.prefix, _venv):
        os.execv(python, [str(python), *sys.argv])


def run(tool, *args, cwd=None):
    """What a tool prints; RuntimeError with what it complains of."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "HELM_CACHE_HOME": tempfile.gettempdir()}
    done = subprocess.run([_venv / "bin" / tool, *map(str, args)], capture_output=True, text=True, env=env, cwd=cwd)
    if done.returncode != 0:
        raise RuntimeError(f"{tool} {' '.join(map(str, args))}:\n{done.stderr}")
    return done.stdout


def _objects(text):
    import yaml
    return [o for o in yaml.safe_load_all(text) if o]


@cache
def _kustomized(folder):
    return run("kubectl", "kustomize", folder)


@cache
def _templated(values):
    return run("helm", "template", "sluice", CHART, "--namespace", NAMESPACE,
                *(("--values", CHART / "examples" / f"{values}.yaml") if values else ()))


def overlay(name):
    """The objects of an overlay; of the base where the name is empty; of components over the base, in turn: "+monitoring+tls"."""
    if name.startswith("+"):
        with tempfile.TemporaryDirectory() as made:
            up = os.path.relpath(KUBERNETES, Path(made).resolve())
            (Path(made) / "kustomization.yaml").write_text(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: sluice\n"
                f"resources: [{up}/base]\ncomponents: [{', '.join(f'{up}/components/{c}' for c in name[1:].split('+'))}]\n")
            return _objects(run("kubectl", "kustomize", made))
    return _objects(_kustomized(KUBERNETES / "overlays" / name if name else KUBERNETES / "base"))


def chart(name):
    """The objects of the chart with the values of an example; with its defaults where the name is empty."""
    return _objects(_templated(name))


def chart_with(*sets):
    """What helm says to `--set` values: its objects, or RuntimeError."""
    return _objects(run("helm", "template", "sluice", CHART, "--namespace", NAMESPACE,
                         *(a for s in sets for a in ("--set", s))))


def lint_chart(values):
    return run("helm", "lint", "--strict", CHART, *(("--values", values) if values else ()))
