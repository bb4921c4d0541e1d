#!/usr/bin/env python3
"""The pods of overlay cpu-demo, and of the chart, run here as processes and serve: a chat over real UCX, probes as the manifests
ask them, every path and metric that manifests name, ports in the pinned range and nowhere else, and an end within the grace
period in which readiness falls at once and no answer is lost. tests/manifests/pods.py says what stands in for what."""
import argparse
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request

import rendering

args = argparse.ArgumentParser(description=__doc__)
args.add_argument("--venv", required=True)
args.add_argument("--bin", required=True)
args = args.parse_args()
rendering.enter(args.venv)

from pods import USER, Pods  # noqa: E402 (in the venv from here on)
from sense import World, component  # noqa: E402

KEY = "key-of-the-test"
SECRETS = {"sluice-secrets": {"cluster-token": "token-of-the-test", "api-key": KEY}}
AUTH = {"authorization": f"Bearer {KEY}"}


def chat(url, tokens, stream=False):
    body = {"model": "sluice-tiny", "messages": [{"role": "user", "content": "Who was the king?"}], "max_tokens": tokens,
            "ignore_eos": True, "stream": stream, "sluice": {"mode": "split"}}
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), AUTH)
    with urllib.request.urlopen(request, timeout=120) as r:
        return r.read().decode()


def metric(text, name, label=""):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith((name + " ", name + "{")) and label in line)


def names_of_metrics():
    """What manifests of any overlay ask Prometheus or /metrics for."""
    found = {"vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc",
             "vllm:cache_config_info"}  # an InferencePool's picker
    for o in rendering.overlay("full"):
        for t in o.get("spec", {}).get("triggers", []) if o["kind"] == "ScaledObject" else []:
            found |= set(re.findall(r"\b(?:sluice_|vllm:)\w+", t["metadata"]["query"]))
    return found


def check_serving(p):
    coordinator = p.role("coordinator")[0]
    p.until("every pod is ready", lambda: all((p_.probe("readinessProbe") or [0])[0] == 200 for p_ in p.pods))
    for pod in p.pods:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pod.probe(kind)[0] == 200, (pod.name, kind, pod.probe(kind))
    assert coordinator.get("http", "/health")[0] == 200
    assert coordinator.get("http", "/v1/models")[0] == 401
    said = json.loads(chat(coordinator.url("http"), 12))
    assert said["usage"]["completion_tokens"] == 12, said
    decode = p.role("decode")[0].get("admin", "/metrics")[1]
    assert metric(decode, "sluice_kv_frames_total", "committed") > 0 or metric(decode, "sluice_kv_received_wire_bytes_total") > 0
    print("a chat was served over UCX")


def check_metrics(p):
    texts = []
    for m in World(rendering.overlay("full")).of("PodMonitor"):
        e = m["spec"]["podMetricsEndpoints"][0]
        chosen = {component(w) for w in World(rendering.overlay("full")).chosen(m["spec"]["selector"])}
        for pod in p.pods:
            if pod.role in chosen:
                status, text = pod.get(e["port"], e["path"])
                assert status == 200, (pod.name, status)
                texts.append(text)
    assert len(texts) == len(p.pods)
    known = set(re.findall(r"^([\w:]+)[{ ]", "\n".join(texts), re.M))
    wanted = names_of_metrics()
    assert len(wanted) >= 8, wanted
    assert wanted <= known, f"no such metric: {sorted(wanted - known)}"
    info = re.search(r'^vllm:cache_config_info\{block_size="(\d+)",num_gpu_blocks="(\d+)"\} 1$', "\n".join(texts), re.M)
    assert info and int(info[1]) == 16 and int(info[2]) > 0
    for o in rendering.overlay("full"):
        if o["kind"] == "HTTPRoute":
            for rule in o["spec"]["rules"]:
                for match in rule["matches"]:
                    status, _ = p.role("coordinator")[0].get("http", match["path"]["value"] + "/models", AUTH)
                    assert status == 200, match
    print(f"{len(wanted)} metrics that manifests name are served")


def check_process(p):
    for pod in p.pods:
        status = open(f"/proc/{pod.process.pid}/status").read()
        if os.geteuid() == 0:
            assert re.search(rf"^Uid:\s+{USER}\s+{USER}", status, re.M), pod.name
        for secret in SECRETS["sluice-secrets"].values():
            assert secret not in open(f"/proc/{pod.process.pid}/cmdline").read(), pod.name
            assert secret not in pod.log.read_text(), pod.name
        declared = {c["containerPort"] for c in pod.container["ports"]}
        free = set(range(9110, 9174)) if pod.role != "coordinator" else set()
        at = pod.listening()
        assert declared <= at <= declared | free, (pod.name, sorted(at))
        assert pod.role == "coordinator" or at & free, f"{pod.name}: UCX listens nowhere in its range: {sorted(at)}"
    print("ports, users and arguments are as the manifests say")


def end(p, pod, what):
    """SIGTERM; readiness falls before the answer under way is over, which comes whole; then the pod ends in time."""
    coordinator = p.role("coordinator")[0]
    answer = []
    client = threading.Thread(target=lambda: answer.append(chat(coordinator.url("http"), 1500, stream=True)))
    client.start()
    held = {"coordinator": ("http", "sluice_requests_running"), "decode": ("admin", "sluice_legs"),
            "prefill": ("http", "sluice_requests_running")}[pod.role]
    of = pod if pod.role == "decode" else coordinator
    p.until("a request runs", lambda: metric(of.get(held[0], "/metrics")[1], held[1]) > 0)
    began = time.monotonic()
    pod.process.send_signal(signal.SIGTERM)
    unready = None
    while pod.process.poll() is None and time.monotonic() < began + pod.grace:
        got = pod.probe("readinessProbe")
        if got and got[0] == 503 and unready is None:
            unready = time.monotonic() - began
            assert json.loads(got[1])["why"] == "draining", got
            alive = pod.probe("livenessProbe")
            assert alive is None or alive[0] == 200
        time.sleep(0.005)
    took = time.monotonic() - began
    assert pod.process.poll() == 0, f"{pod.name}: status {pod.process.poll()} after {took:.1f} s"
    assert took < pod.grace
    client.join(60)
    assert answer and "[DONE]" in answer[0], f"{what}: the answer was cut"
    if pod.role != "prefill":  # whose work was done: it may end before anybody asks
        assert unready is not None and unready < 1, f"{pod.name}: readiness fell after {unready}"
    print(f"{what} ended after {took:.2f} s of {pod.grace}, unready after {unready if unready is None else round(unready, 3)} s")


for source, objects in (("kustomize", rendering.overlay("cpu-demo")), ("helm", rendering.chart("cpu-demo"))):
    print(f"== {source}", flush=True)
    with Pods(objects, args.bin, SECRETS) as p:
        check_serving(p)
        check_metrics(p)
        check_process(p)
        if source == "kustomize":
            end(p, p.role("prefill")[0], "prefill")
        else:
            end(p, p.role("coordinator")[0], "coordinator")
    if source == "kustomize":
        with Pods(objects, args.bin, SECRETS) as p:
            check_serving(p)
            end(p, p.role("decode")[0], "decode")
print("pods: ok")
