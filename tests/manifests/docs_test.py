#!/usr/bin/env python3
"""The commands of docs/kubernetes.md, as far as they need no cluster: `kubectl apply -k` renders, `kubectl create` is a dry run,
`helm install` is a template; of the others, what they name is there. YAML that is shown renders as an overlay."""
import argparse
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path

import rendering

args = argparse.ArgumentParser(description=__doc__)
args.add_argument("--venv", required=True)
rendering.enter(args.parse_args().venv)

PAGE = rendering.ROOT / "docs" / "kubernetes.md"
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "service": "Service"}
objects = rendering.overlay("cpu-demo")
faults, done = [], 0


def named(kind, name):
    return next((o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name), None)


def secret_keys():
    text = json.dumps(objects)
    return {(s["name"], s["key"]) for s in map(json.loads, re.findall(r'"secretKeyRef": (\{[^}]*\})', text))}


def kubectl(words):
    if words[1] == "apply":
        rendering.run("kubectl", "kustomize", rendering.ROOT / words[words.index("-k") + 1])
    elif words[1] == "create":
        made = rendering.run("kubectl", *words[1:], "--dry-run=client", "-o", "json")
        if "secret" in words:
            o = json.loads(made)
            missing = {k for n, k in secret_keys() if n == o["metadata"]["name"]} - set(o["data"])
            if missing or o["metadata"]["name"] not in {n for n, _ in secret_keys()}:
                faults.append(f"the Secret that is made is not the one that pods read: {sorted(missing)}")
    else:
        for word in words:
            kind, _, name = word.partition("/")
            if kind in KINDS and named(KINDS[kind], name) is None:
                faults.append(f"no {word} in {' '.join(words)}")
            if kind == "secret" and name not in {n for n, _ in secret_keys()}:
                faults.append(f"no {word} in {' '.join(words)}")
        if words[1] == "port-forward":
            port = int(words[3].split(":")[1])
            if port not in [p["port"] for p in named("Service", words[2].split("/")[1])["spec"]["ports"]]:
                faults.append(f"no such port: {' '.join(words)}")
        if words[1] == "get" and "-o" in words and not any(f".data.{k}}}" in words[-1] for _, k in secret_keys()):
            faults.append(f"no such key: {' '.join(words)}")


def command(line):
    line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", line)
    line = re.sub(r'"\$\([^)]*\)"', "x", line).removesuffix(" &").split(" | ")[0]
    words = shlex.split(line)
    if words[0] == "kubectl":
        kubectl(words)
    elif words[0] == "helm":
        assert words[1] in ("install", "upgrade"), line
        rendering.run("helm", "template", *words[2:], cwd=rendering.ROOT)
    elif words[0] == "curl":
        body = json.loads(words[words.index("-d") + 1])
        if body["model"] != objects[0]["metadata"]["labels"]["llm-d.ai/model"]:
            faults.append("the request asks for another model than the demo's")
    else:
        faults.append(f"nobody checks: {line}")


for block in re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
    try:
        if block.startswith("resources:"):
            with tempfile.TemporaryDirectory() as made:
                up = Path(*[".."] * len(Path(made).resolve().parts[1:])) / rendering.KUBERNETES.relative_to("/")
                (Path(made) / "kustomization.yaml").write_text(block.replace("../../base", f"{up}/base"))
                if len(rendering.run("kubectl", "kustomize", made)) < 1000:
                    faults.append(f"renders to nothing: {block}")
            done += 1
            continue
        for line in block.strip().split("\n"):
            command(line)
            done += 1
    except (RuntimeError, ValueError) as e:
        faults.append(str(e))
for path in re.findall(r"`(deploy/[\w/.-]+|tests/[\w/.-]+|examples/[a-z-]+\.yaml)`", PAGE.read_text()):
    if not (rendering.ROOT / path).exists() and not (rendering.CHART / path).exists():
        faults.append(f"no such file: {path}")
for name in rendering.OVERLAYS + [d.name for d in (rendering.KUBERNETES / "components").iterdir()]:
    if f"`{name}`" not in PAGE.read_text():
        faults.append(f"the page says nothing of `{name}`")
print(f"{done} commands")
if done < 9:
    faults.append("where are the page's commands?")
print("\n".join(faults))
sys.exit(1 if faults else 0)
