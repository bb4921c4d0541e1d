#!/usr/bin/env python3
"""Writes docs/metrics.md: every metric family that a running cluster's daemons tell.

Usage: tools/metrics_doc.py [--url http://127.0.0.1:8000] [--check]

Name, type and help come from the daemons' /metrics (a family stands there before it has a series), which daemon from whose
page it is. A family's labels show only in its series, so LABELS says them; labels of series that are not said there are an
error. --check writes nothing and fails when the page is not what would be written.
"""
import argparse
import json
import re
import sys
import urllib.request
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"

LABELS = {
    "sluice_build_info": "role version",
    "sluice_decisions_total": "prefill_node decode_node profile reason",
    "sluice_decode_legs_total": "reason",
    "sluice_early_rejections_total": "why",
    "sluice_http_bytes_total": "direction",
    "sluice_http_connections_closed_total": "why",
    "sluice_http_requests_total": "method route status code",
    "sluice_kv_forecast_ratio": "decode_node",
    "sluice_kv_frames_total": "outcome",
    "sluice_kv_margin_ratio": "decode_node",
    "sluice_kv_profile_changes_total": "from to",
    "sluice_local_prompts_total": "part",
    "sluice_prompt_tokens_placed_total": "role",
    "sluice_kv_raw_bytes_total": "profile",
    "sluice_kv_sent_raw_bytes_total": "profile",
    "sluice_kv_sent_wire_bytes_total": "profile",
    "sluice_kv_wire_bytes_total": "profile",
    "sluice_link_bandwidth_bytes_per_second": "decode_node",
    "sluice_link_in_flight_bytes": "decode_node",
    "sluice_link_probes_total": "prefill_node decode_node outcome",
    "sluice_link_queue_bytes": "decode_node",
    "sluice_link_rtt_seconds": "decode_node",
    "sluice_moves_total": "reason outcome",
    "sluice_sequence_copies_total": "outcome",
    "sluice_nodes": "role",
    "sluice_preemptions_total": "way",
    "sluice_prefill_requests_total": "outcome",
    "sluice_prompt_bytes_total": "lane",
    "sluice_prompt_jobs_running": "lane",
    "sluice_prompt_jobs_total": "lane outcome",
    "sluice_prompt_jobs_waiting": "lane",
    "sluice_prompt_threads": "lane",
    "sluice_prompt_wait_seconds_total": "lane",
    "sluice_prompt_waiting_bytes": "lane",
    "sluice_prompt_work_seconds_total": "lane",
    "sluice_quality_drift": "profile",
    "sluice_quality_probe_kl": "profile",
    "sluice_quality_probe_top1_total": "profile same",
    "sluice_quality_probes_total": "outcome",
    "sluice_quality_references_total": "outcome",
    "sluice_quality_stated_kl": "profile",
    "sluice_requests_refused_total": "code",
    "sluice_requests_total": "outcome",
    "sluice_role_changes_total": "to reason",
    "sluice_slo_attainment_ratio": "class",
    "sluice_slo_objective_seconds": "class objective",
    "sluice_slo_objectives_total": "class objective met",
    "sluice_slo_requests_total": "class met",
    "sluice_stage_seconds": "stage",
    "sluice_tenant_rate_limited_total": "tenant limit",
    "sluice_tenant_requests_running": "tenant",
    "sluice_tenant_requests_total": "tenant outcome",
    "sluice_tenant_tokens_total": "tenant kind",
    "sluice_tls_certificate_expiry_seconds": "kind plane",
    "sluice_tls_certificate_start_seconds": "kind plane",
    "sluice_tls_reload_failures_total": "plane",
    "sluice_trace_spans_total": "outcome",
    "vllm:cache_config_info": "block_size num_gpu_blocks",
    "vllm:request_success_total": "model_name finished_reason",
}

HEAD = """# Metrics

Every metric of every daemon, as a running cluster tells them. `tools/metrics_doc.py` writes this page; do not edit it. What the
important ones are for: [operations](operations.md#metrics). `sluice_` metrics have base units at the end of their names; counters
end in `_total`, nothing else does. Prometheus adds the target's labels: `model`, `node`, `role`, `job`, `instance`.
"""

SECTIONS = (
    (("coordinator", "prefill", "decode"), "Every daemon"),
    (("coordinator",), "Coordinator"),
    (("coordinator", "vllm"), "Coordinator, under vLLM's names"),
    (("prefill", "decode"), "Every node"),
    (("prefill",), "Prefill nodes"),
    (("decode",), "Decode nodes"),
)


def labels_of(name):
    return LABELS.get(name, "model_name" if name.startswith("vllm:") else "").split()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def expositions(url):
    """The text of one daemon of each role."""
    texts = {"coordinator": get(url + "/metrics")}
    for n in json.loads(get(url + "/sluice/v1/nodes"))["nodes"]:
        if n["role"] not in texts:
            texts[n["role"]] = get(f"http://{n['admin_address']}/metrics")
    if set(texts) != {"coordinator", "prefill", "decode"}:
        raise SystemExit("a node of each role is needed")
    return texts


def families(text):
    """{name: (type, help)} of an exposition."""
    said = {}
    for kind, name, rest in re.findall(r"^# (HELP|TYPE) (\S+) (.*)$", text, re.M):
        said.setdefault(name, {})[kind] = rest
    return {name: (s["TYPE"], s.get("HELP", "")) for name, s in said.items()}


def label_faults(text):
    """Series whose labels are not those that this page says."""
    known = families(text)
    faults = set()
    for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", text, re.M):
        for tail in ("_bucket", "_sum", "_count"):
            if name.removesuffix(tail) in known and name not in known:
                name = name.removesuffix(tail)
        has = {k for k, _ in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)} - {"le"}
        if has != set(labels_of(name)):
            faults.add(f"{name}: its labels are {sorted(has)}, LABELS in tools/metrics_doc.py says {labels_of(name)}")
    return sorted(faults)


def page(texts):
    told = {}
    for role, text in texts.items():
        for name, what in families(text).items():
            told.setdefault(name, (what, set()))[1].add(role)
    out = [HEAD]
    for roles, title in SECTIONS:
        rows = []
        for name, ((kind, help_), where) in sorted(told.items()):
            if where | ({"vllm"} if name.startswith("vllm:") else set()) != set(roles):
                continue
            labels = labels_of(name)
            shown = name + ("{" + ",".join(labels) + "}" if labels else "")
            rows.append(f"| `{shown}` | {kind} | {help_.replace('|', chr(92) + '|')} |")
        out.append(f"\n## {title}\n\n| metric | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    placed = sum(line.startswith("| `") for part in out for line in part.split("\n"))
    if placed != len(told):
        raise SystemExit(f"{len(told) - placed} families are told by a set of daemons that has no section")
    return "".join(out)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--url", default="http://127.0.0.1:8000")
    args.add_argument("--check", action="store_true")
    args = args.parse_args()
    texts = expositions(args.url)
    faults = [f for text in texts.values() for f in label_faults(text)]
    made = page(texts)
    if not args.check:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        faults.append(f"{PAGE} is not what tools/metrics_doc.py writes; run it on a cluster of this build")
    print("\n".join(faults), end="\n" if faults else "", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
