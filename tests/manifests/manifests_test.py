#!/usr/bin/env python3
"""deploy/kubernetes and deploy/helm, offline: YAML is clean, every overlay and every example of the chart renders to objects
that the API server would take and that fit each other, both render to the same, and each check refuses what it should."""
import argparse
import copy
import re
import subprocess
import sys
import tomllib

import rendering

args = argparse.ArgumentParser(description=__doc__)
args.add_argument("--venv", required=True)
rendering.enter(args.parse_args().venv)

from schemas import schema_faults  # noqa: E402 (in the venv from here on)
from sense import pod_template, sense_faults, workloads_of  # noqa: E402

OLDEST = "1.30"  # preStop's sleep is on by default; Chart.yaml says the same
BEYOND_OLDEST = {"gpu", "gpu-rdma", "full"}  # DRA: 1.34
PAIRS = ["", *rendering.OVERLAYS, "+hpa"]
# Components together, and the chart's values for the same.
TOGETHER = {"+monitoring+tls": ("podMonitor.enabled=true", "tls.enabled=true"),
            "+tls+disaggregatedset": ("tls.enabled=true", "nodes.kind=DisaggregatedSet")}
faults = []


def check(what, found):
    faults.extend(f"{what}: {f}" for f in found)


def lint():
    done = subprocess.run([sys.executable, "-m", "yamllint", "-s", "-c", rendering.ROOT / "tests" / "manifests" / ".yamllint",
                           rendering.KUBERNETES, *rendering.CHART.glob("*.yaml"), rendering.CHART / "examples"], capture_output=True, text=True)
    if done.returncode != 0:
        faults.append(f"yamllint:\n{done.stdout}{done.stderr}")
    for values in (None, *(rendering.CHART / "examples").glob("*.yaml")):
        try:
            rendering.lint_chart(values)
        except RuntimeError as e:
            faults.append(str(e))
    examples = {p.stem for p in (rendering.CHART / "examples").glob("*.yaml")}
    if examples != {*rendering.OVERLAYS, "hpa"}:
        faults.append(f"overlays and the chart's examples differ: {sorted(examples ^ {*rendering.OVERLAYS, 'hpa'})}")


def normal(objects):
    """{kind and name: object} without what only one of the two tools makes: the hash in the name of a ConfigMap, the checksum
    that stands for it, comments in TOML."""
    hashes = {o["metadata"]["name"]: re.sub(r"-[a-z0-9]{10}$", "", o["metadata"]["name"])
              for o in objects if o["kind"] == "ConfigMap"}
    out = {}
    for o in copy.deepcopy(objects):
        if o["kind"] == "ConfigMap":
            o["metadata"]["name"] = hashes[o["metadata"]["name"]]
            o["data"] = {k: tomllib.loads(v) for k, v in o["data"].items()}
        for workload in workloads_of(o):
            pod = pod_template(workload)
            pod["metadata"].get("annotations", {}).pop("checksum/config", None)
            if not pod["metadata"].get("annotations", True):
                del pod["metadata"]["annotations"]
            for v in pod["spec"].get("volumes", []):
                if "configMap" in v:
                    v["configMap"]["name"] = hashes.get(v["configMap"]["name"], v["configMap"]["name"])
        out[f"{o['kind']}/{o['metadata']['name']}"] = o
    return out


def differences(a, b, at):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(a.keys() | b.keys()):
            yield from differences(a.get(k), b.get(k), f"{at}.{k}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{at}[{i}]")
    elif a != b:
        yield f"{at} is {a!r} from kustomize and {b!r} from helm"


def render_all():
    for name in (*PAIRS, *TOGETHER):
        ours = rendering.overlay(name)
        theirs = rendering.chart_with(*TOGETHER[name]) if name in TOGETHER else rendering.chart(name.removeprefix("+"))
        for tool, objects in (("kustomize", ours), ("helm", theirs)):
            check(f"{tool} {name or 'base'}", schema_faults(objects) + sense_faults(objects))
            if name not in BEYOND_OLDEST:
                check(f"{tool} {name or 'base'} on {OLDEST}", schema_faults(objects, OLDEST))
        a, b = normal(ours), normal(theirs)
        check(name or "base", differences(a, b, "objects"))
        print(f"{name or 'base'}: {len(a)} objects")


def combine():
    """What the chart makes of values together, and under another name, which no overlay has."""
    all_of_it = [f"{v}.enabled=true" for v in ("tls", "ha", "podMonitor", "gpu", "keda", "gateway")] + ["coordinator.replicas=3"]
    for sets in (all_of_it, [*all_of_it, "name=other", "tls.hosts={llm.example.org}"], ["name=other", "hpa.enabled=true"],
                 ["nodes.portRange=20000-20100", "decode.config.seal=digest", "prefill.args={--max-waiting=64}"]):
        objects = rendering.chart_with(*sets)
        check(" ".join(sets), schema_faults(objects) + sense_faults(objects))
        if "name=other" in sets:
            names = {o["metadata"]["name"] for o in objects}
            check(" ".join(sets), [f"{n} is not named after the release" for n in names if not n.startswith("other")])


# Each: what is broken, in which overlay, how, and a word of the fault that must be found.
def at(objects, title, *path):
    o = next(o for o in objects if f"{o['kind']}/{o['metadata']['name']}" == title)
    for p in path:
        o = o[p]
    return o


POD = ("spec", "template", "spec")
BOX = (*POD, "containers", 0)
SET = ("DisaggregatedSet/sluice", "spec")
SCRAPE = ("spec", "podMetricsEndpoints", 0)
BROKEN = [
    ("an unknown field", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX).update(imagePolicy="Always"), "imagePolicy"),
    ("a field in the wrong place", "", lambda o: at(o, "StatefulSet/sluice-decode", "spec").update(containers=[]), "containers"),
    ("a number as text", "", lambda o: at(o, "Deployment/sluice-coordinator", "spec").update(replicas="1"), "replicas"),
    ("a missing field", "", lambda o: at(o, "StatefulSet/sluice-decode", "spec").pop("selector"), "selector"),
    ("an unknown kind", "", lambda o: o.append({"apiVersion": "apps/v1", "kind": "StatefulSets", "metadata": {"name": "x"}}),
     "StatefulSets"),
    ("an API that is no more", "", lambda o: at(o, "PodDisruptionBudget/sluice-decode").update(apiVersion="policy/v1beta1"),
     "policy/v1beta1"),
    ("a wrong port name", "", lambda o: at(o, "Service/sluice", "spec", "ports", 0).update(targetPort="htttp"), "htttp"),
    ("a probe at a port that is not there", "",
     lambda o: at(o, "StatefulSet/sluice-prefill", *BOX, "readinessProbe", "httpGet").update(port=9999), "9999"),
    ("no readiness of its own", "",
     lambda o: at(o, "StatefulSet/sluice-prefill", *BOX, "readinessProbe", "httpGet").update(path="/livez"), "same question"),
    ("no startup probe", "", lambda o: at(o, "StatefulSet/sluice-prefill", *BOX).pop("startupProbe"), "startupProbe"),
    ("a Service without pods", "", lambda o: at(o, "Service/sluice", "spec").update(selector={"app": "x"}), "chooses no pod"),
    ("a StatefulSet without its Service", "", lambda o: at(o, "StatefulSet/sluice-decode", "spec").update(serviceName="d"),
     "headless"),
    ("a control Service that hides what is not ready", "",
     lambda o: at(o, "Service/sluice-control", "spec").pop("publishNotReadyAddresses"), "must find"),
    ("a policy for other ports", "",
     lambda o: at(o, "NetworkPolicy/sluice-kv-decode", "spec", "ingress", 0, "ports", 1).update(endPort=9120), "ucx-port-range"),
    ("a policy that is forgotten", "", lambda o: o.remove(at(o, "NetworkPolicy/sluice-control")), "lets anybody to port 'control'"),
    ("a ConfigMap that is not there", "", lambda o: o.pop(0), "no ConfigMap"),
    ("a file that is not in it", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX)["args"].__setitem__(
        0, "--config=/etc/sluice/decoder.toml"), "decoder.toml"),
    ("a variable that is not set", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "env").pop(), "no variable"),
    ("a volume that is not mounted", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "volumeMounts").pop(), "shm"),
    ("root", "", lambda o: at(o, "StatefulSet/sluice-decode", *POD, "securityContext").update(runAsUser=0), "root"),
    ("no seccomp", "", lambda o: at(o, "StatefulSet/sluice-decode", *POD, "securityContext").pop("seccompProfile"), "seccomp"),
    ("a token", "", lambda o: at(o, "Deployment/sluice-coordinator", *POD).pop("automountServiceAccountToken"), "token"),
    ("a root file system to write", "",
     lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "securityContext").update(readOnlyRootFilesystem=False), "write"),
    ("a capability too many", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "securityContext", "capabilities").update(
        add=["SYS_ADMIN"]), "SYS_ADMIN"),
    ("no bound of memory", "", lambda o: at(o, "Deployment/sluice-coordinator", *BOX, "resources").pop("limits"), "bounded"),
    ("a secret in an argument", "", lambda o: at(o, "Deployment/sluice-coordinator", *BOX, "args").append("--api-key=k"),
     "secret in an argument"),
    ("a secret in plain sight", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "env").__setitem__(
        0, {"name": "SLUICE_CLUSTER_TOKEN", "value": "t"}), "not from a Secret"),
    ("a drain that is cut off", "", lambda o: at(o, "StatefulSet/sluice-decode", *POD).update(terminationGracePeriodSeconds=30),
     "killed after 30 s"),
    ("the other role", "", lambda o: at(o, "StatefulSet/sluice-decode", "spec", "template", "metadata", "labels").update(
        {"llm-d.ai/role": "prefill"}), "not its role"),
    ("the other program", "", lambda o: at(o, "StatefulSet/sluice-decode", *BOX).update(command=["/usr/bin/sluice-prefill"]),
     "command"),
    ("a claim without a template", "gpu", lambda o: o.remove(at(o, "ResourceClaimTemplate/sluice-gpu")), "ResourceClaimTemplate"),
    ("a claim that nobody has", "gpu", lambda o: at(o, "StatefulSet/sluice-decode", *BOX, "resources", "claims", 0).update(
        name="gpus"), "gpus"),
    ("a device request of the API before", "gpu", lambda o: at(
        o, "ResourceClaimTemplate/sluice-gpu", "spec", "spec", "devices", "requests", 0).update(deviceClassName="x"), "deviceClass"),
    ("a PodMonitor's typo", "full", lambda o: at(o, "PodMonitor/sluice-nodes", "spec", "podMetricsEndpoints", 0).update(
        scrape_timeout="4s"), "scrape_timeout"),
    ("a PodMonitor's port", "full", lambda o: at(o, "PodMonitor/sluice-nodes", "spec", "podMetricsEndpoints", 0).update(
        port="metrics"), "metrics"),
    ("a threshold that is no string", "full", lambda o: at(o, "ScaledObject/sluice-decode", "spec", "triggers", 0,
                                                           "metadata").update(threshold=0.7), "threshold"),
    ("a scaler of nothing", "full", lambda o: at(o, "ScaledObject/sluice-decode", "spec", "scaleTargetRef").update(
        kind="Deployment"), "to scale"),
    ("a pool of the alpha API", "full", lambda o: at(o, "InferencePool/sluice", "spec").update(targetPortNumber=8000),
     "targetPortNumber"),
    ("a pool at another port", "full", lambda o: at(o, "InferencePool/sluice", "spec", "targetPorts", 0).update(number=8080),
     "8080"),
    ("a route to nothing", "full", lambda o: at(o, "HTTPRoute/sluice", "spec", "rules", 0, "backendRefs", 0).update(name="x"),
     "InferencePool 'x'"),
    ("a group of no pods", "lws", lambda o: at(o, "LeaderWorkerSet/sluice-decode", "spec", "leaderWorkerTemplate").update(size=0),
     "size"),
    ("a group's pod with a slip", "lws", lambda o: at(
        o, "LeaderWorkerSet/sluice-decode", "spec", "leaderWorkerTemplate", "workerTemplate", "spec").update(
            terminationGracePeriod=1), "terminationGracePeriod"),
    ("a set with one role", "disaggregatedset", lambda o: at(o, *SET, "roles").pop(), "roles"),
    ("a set with two roles of one name", "disaggregatedset", lambda o: at(o, *SET, "roles", 1).update(name="prefill"), "one name"),
    ("a set that is half asleep", "disaggregatedset", lambda o: at(o, *SET, "roles", 1, "spec").update(replicas=0), "are 0"),
    ("a set's partition", "disaggregatedset", lambda o: at(
        o, *SET, "roles", 0, "spec", "rolloutStrategy", "rollingUpdateConfiguration").update(partition=1), "partition"),
    ("a set that cannot roll out", "disaggregatedset", lambda o: at(
        o, *SET, "roles", 0, "spec", "rolloutStrategy", "rollingUpdateConfiguration").update(maxUnavailable=0), "neither"),
    ("a set's placement without a place", "disaggregatedset", lambda o: at(o, *SET).update(
        placementPolicy={"type": "ExclusiveSlice"}), "topology"),
    ("a set whose Services' names are too long", "disaggregatedset", lambda o: at(o, *SET, "roles", 0).update(name="p" * 50),
     "too long"),
    ("a set's pod with a slip", "disaggregatedset", lambda o: at(
        o, *SET, "roles", 1, "spec", "leaderWorkerTemplate", "workerTemplate", "spec").update(terminationGracePeriod=1),
     "terminationGracePeriod"),
    ("a set's pod of the other role", "disaggregatedset", lambda o: at(
        o, *SET, "roles", 1, "spec", "leaderWorkerTemplate", "workerTemplate", "spec", "containers", 0).update(
            command=["/usr/bin/sluice-prefill"]), "command"),
    ("replicas of the whole set", "disaggregatedset", lambda o: at(o, *SET).update(replicas=2), "replicas"),
    ("HTTPS scraped in the clear", "+monitoring+tls", lambda o: at(o, "PodMonitor/sluice-coordinator", *SCRAPE).pop("scheme"),
     "speaks HTTPS"),
    ("a page scraped over HTTPS that is plain", "+monitoring+tls", lambda o: at(o, "PodMonitor/sluice-nodes", *SCRAPE).update(
        scheme="https"), "speaks HTTP"),
    ("any certificate will do", "+monitoring+tls", lambda o: at(o, "PodMonitor/sluice-coordinator", *SCRAPE, "tlsConfig").update(
        insecureSkipVerify=True), "no authority"),
    ("another's certificate is expected", "+monitoring+tls", lambda o: at(
        o, "PodMonitor/sluice-coordinator", *SCRAPE, "tlsConfig").update(serverName="other"), "no name of the certificate"),
    ("components in the wrong order", "+tls+monitoring", lambda o: None, "speaks HTTPS"),
    ("a registry where none is", "ha", lambda o: o.remove(at(o, "Service/sluice-etcd")), "no Service answers at --registry"),
    ("two coordinators that share nothing", "", lambda o: at(o, "Deployment/sluice-coordinator", "spec").update(replicas=2),
     "several coordinators"),
    ("a node of two minds", "ha", lambda o: at(o, "StatefulSet/sluice-decode", *BOX)["args"].append("--coordinator=c:1"),
     "of a registry and a coordinator"),
    ("etcd open to all", "ha", lambda o: o.remove(at(o, "NetworkPolicy/sluice-etcd")), "lets anybody to port 'client'"),
    ("a certificate of the other role", "tls", lambda o: at(o, "Certificate/sluice-decode-tls", "spec").update(
        uris=["sluice://role/prefill"]), "not its role's"),
    ("a key that others read", "tls", lambda o: at(o, "StatefulSet/sluice-decode", *POD, "volumes", -1, "secret").update(
        defaultMode=0o644), "readable for others"),
    ("a certificate that nobody makes", "tls", lambda o: o.remove(at(o, "Certificate/sluice-http-tls")), "names no file"),
    ("a probe in the clear", "tls", lambda o: at(o, "Deployment/sluice-coordinator", *BOX, "livenessProbe", "httpGet").pop(
        "scheme"), "does not speak HTTPS"),
    ("an issuer of two kinds", "tls", lambda o: at(o, "Issuer/sluice-ca", "spec").update(selfSigned={}), "Issuer/sluice-ca"),
    ("an HPA without a target", "+hpa", lambda o: at(o, "HorizontalPodAutoscaler/sluice-decode", "spec").pop("scaleTargetRef"),
     "scaleTargetRef"),
]


def refuse_all():
    for what, name, damage, word in BROKEN:
        objects = copy.deepcopy(rendering.overlay(name))
        damage(objects)
        try:
            found = schema_faults(objects)
            found = found or sense_faults(objects)
        except KeyError as e:
            found = [f"raised KeyError {e}"]
        if not any(word in f for f in found):
            faults.append(f"not refused: {what} ({found or 'nothing found'})")
    for what, *sets in (("two autoscalers", "keda.enabled=true", "hpa.enabled=true"),
                        ("a scaler of what is not there", "keda.enabled=true", "nodes.kind=LeaderWorkerSet"),
                        ("another scaler of what is not there", "hpa.enabled=true", "nodes.kind=DisaggregatedSet"),
                        ("a kind of nodes that is none", "nodes.kind=ReplicaSet"),
                        ("a value that the chart does not know", "replica=3"),
                        ("a value of the wrong kind", "prefill.replicas=many"),
                        ("two coordinators that share nothing", "coordinator.replicas=2")):
        try:
            rendering.chart_with(*sets)
            faults.append(f"helm took {what}")
        except RuntimeError:
            pass
    print(f"{len(BROKEN) + 7} broken ones refused")


lint()
render_all()
combine()
refuse_all()
print("\n".join(faults))
sys.exit(1 if faults else 0)
