#!/usr/bin/env python3
"""Writes Grafana's dashboards, so that all panels look alike: deploy/grafana/dashboards/*.json.

Usage: tools/dashboards.py            writes them
       tools/dashboards.py --check    writes nothing; exit 1 when a file is not what would be written

Change a dashboard here, not in the JSON. Every panel says in a sentence what it shows. Quantities have base units (seconds,
bytes); Grafana scales them. `model` is the target's label, `node` a node's name, `class` an SLO class.
"""
import argparse
import json
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
M = 'model=~"$model"'
MN = 'model=~"$model", node=~"$node"'
MC = 'model=~"$model", class=~"$class"'
SAME = M + ', same="true"'
EXPLORED = M + ', reason="explore"'
WINDOW = "[$__rate_interval]"


def steps(*pairs):
    """Thresholds: the first colour from below, then (value, colour)."""
    first, *rest = pairs
    return {"mode": "absolute", "steps": [{"color": first, "value": None}] + [{"color": c, "value": v} for v, c in rest]}


PLAIN = steps("green")
NONE_IS_GOOD = steps("green", (1, "red"))
NONE_IS_BAD = steps("red", (1, "green"))
SHARE_USED = steps("green", (0.8, "orange"), (0.95, "red"))
SHARE_MET = steps("red", (0.9, "orange"), (0.99, "green"))
SHARE_BAD = steps("green", (0.01, "orange"), (0.05, "red"))


def rate(name, labels=M, by=(), window=WINDOW):
    head = f"sum by ({', '.join(by)}) " if by else "sum"
    return f"{head}(rate({name}{{{labels}}}{window}))"


def mean(name, labels=M, by=()):
    return f"{rate(name + '_sum', labels, by)} / {rate(name + '_count', labels, by)}"


def quantile(q, name, labels=M, by=()):
    return f"histogram_quantile({q}, {rate(name + '_bucket', labels, ('le', *by))})"


def quantiles(name, labels=M, by=(), legend=""):
    tail = f" {legend}" if legend else ""
    return [(quantile(q, name, labels, by), f"p{str(q)[2:].ljust(2, '0')}{tail}") for q in (0.5, 0.9, 0.99)]


class Board:
    """One dashboard: rows of panels, laid out from left to right."""

    def __init__(self, uid, title, about, variables):
        self._id = 0
        self._x = self._y = self._tallest = 0
        self._panels = []
        self._head = {"uid": uid, "title": title, "description": about}
        self._variables = variables

    def row(self, title):
        self._break()
        self._add({"type": "row", "title": title, "collapsed": False, "panels": []}, WIDTH, 1)

    def stat(self, title, about, targets, unit="short", thresholds=PLAIN, width=4):
        self._chart("stat", title, about, targets, unit, width, 4, thresholds=thresholds, options={
            "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}})

    def lines(self, title, about, targets, unit="short", width=8, stack=False, floor=0, top=None, thresholds=None):
        custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 10, "showPoints": "never",
                  "spanNulls": 60000, "stacking": {"mode": "normal" if stack else "none", "group": "A"},
                  "thresholdsStyle": {"mode": "dashed" if thresholds else "off"}}
        self._chart("timeseries", title, about, targets, unit, width, 8, custom=custom, floor=floor, top=top,
                    thresholds=thresholds or PLAIN, options={
                        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True,
                                   "calcs": ["lastNotNull", "max"]},
                        "tooltip": {"mode": "multi", "sort": "desc"}})

    def heat(self, title, about, name, labels=M, unit="s", width=8):
        target = (f"sum by (le) (increase({name}_bucket{{{labels}}}{WINDOW}))", "{{le}}")
        self._chart("heatmap", title, about, [target], unit, width, 8, fmt="heatmap", options={
            "calculate": False, "yAxis": {"unit": unit, "axisPlacement": "left"}, "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
            "legend": {"show": True}, "tooltip": {"show": True, "yHistogram": False}})

    def table(self, title, about, targets, unit="short", width=12):
        self._chart("table", title, about, targets, unit, width, 8, instant=True, fmt="table",
                    options={"showHeader": True, "cellHeight": "sm"},
                    transformations=[{"id": "organize", "options": {
                        "excludeByName": {"Time": True, "__name__": True, "instance": True, "job": True}}}])

    def json(self):
        return {**self._head, "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1,
                "tags": ["sluice"], "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
                "timepicker": {}, "fiscalYearStartMonth": 0, "weekStart": "", "annotations": {"list": [ALERTS]},
                "links": [{"type": "dashboards", "tags": ["sluice"], "title": "Sluice", "asDropdown": True,
                           "includeVars": True, "keepTime": True}],
                "templating": {"list": [VARIABLES[v] for v in ("datasource", *self._variables)]},
                "panels": self._panels}

    def _chart(self, kind, title, about, targets, unit, width, height, options, thresholds=PLAIN, custom=None, floor=None,
               top=None, instant=False, fmt="time_series", transformations=None):
        defaults = {"unit": unit, "color": {"mode": "thresholds" if kind == "stat" else "palette-classic"},
                    "thresholds": thresholds, "mappings": []}
        if custom:
            defaults["custom"] = custom
        if floor is not None:
            defaults["min"] = floor
        if top is not None:
            defaults["max"] = top
        panel = {"type": kind, "title": title, "description": about, "datasource": SOURCE,
                 "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
                 "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
                              "editorMode": "code", "format": fmt, "instant": instant, "range": not instant}
                             for i, (expr, legend) in enumerate(targets)]}
        if transformations:
            panel["transformations"] = transformations
        self._add(panel, width, height)

    def _add(self, panel, width, height):
        if self._x + width > WIDTH:
            self._break()
        self._id += 1
        self._panels.append({"id": self._id, "gridPos": {"x": self._x, "y": self._y, "w": width, "h": height}, **panel})
        self._x += width
        self._tallest = max(self._tallest, height)

    def _break(self):
        self._y += self._tallest
        self._x = self._tallest = 0


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "regex": "", "hide": 0, "multi": True,
            "includeAll": True, "allValue": ".*", "skipUrlSync": False,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}


VARIABLES = {
    "datasource": {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0,
                   "multi": False, "includeAll": False, "refresh": 1, "regex": "", "skipUrlSync": False,
                   "current": {"selected": False, "text": "Sluice", "value": "sluice"}},
    "model": variable("model", "Model", "label_values(sluice_build_info, model)"),
    "node": variable("node", "Node", 'label_values(sluice_build_info{model=~"$model", role=~"prefill|decode"}, node)'),
    "class": variable("class", "SLO class", 'label_values(sluice_slo_attainment_ratio{model=~"$model"}, class)'),
    "tenant": variable("tenant", "Tenant", 'label_values(sluice_tenant_requests_total{model=~"$model"}, tenant)'),
}

ALERTS = {"name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": "red", "titleFormat": "{{alertname}}",
          "textFormat": "{{node}} {{class}} {{profile}}", "step": "30s",
          "expr": 'ALERTS{alertname=~"Sluice.+", alertstate="firing", severity!="info"}'}


def serving():
    b = Board("sluice-serving", "Sluice: serving overview", "Are requests served as promised?", ("model", "class"))
    b.row("Now")
    b.stat("Prefill nodes", "Registered prefill nodes.", [(f'sum(sluice_nodes{{{M}, role="prefill"}})', "")],
           thresholds=NONE_IS_BAD)
    b.stat("Decode nodes", "Registered decode nodes.", [(f'sum(sluice_nodes{{{M}, role="decode"}})', "")],
           thresholds=NONE_IS_BAD)
    b.stat("Running", "Legs whose computation has begun.", [(f"sum(sluice_requests_running{{{M}}})", "")])
    b.stat("Waiting", "Legs that wait for a place or on a prefill node.", [(f"sum(sluice_requests_waiting{{{M}}})", "")],
           thresholds=steps("green", (16, "orange"), (256, "red")))
    b.stat("Output tokens/s", "Tokens generated per second.", [(rate("sluice_output_tokens_total"), "")], "short")
    b.stat("Alerts", "Sluice's alerts that fire.",
           [('count(ALERTS{alertname=~"Sluice.+", alertstate="firing"}) or vector(0)', "")], thresholds=NONE_IS_GOOD)
    b.row("Latency")
    b.lines("TTFT", "Time from a request's arrival to its first token.", quantiles("sluice_ttft_seconds"), "s")
    b.lines("TPOT", "Mean time per output token after the first, per request.", quantiles("sluice_tpot_seconds"), "s")
    b.lines("ITL", "Time between two consecutive tokens.", quantiles("sluice_itl_seconds"), "s")
    b.lines("Whole requests", "Time from a request's arrival to its end.", quantiles("sluice_e2e_seconds"), "s")
    b.heat("TTFT, all requests", "How TTFT is spread.", "sluice_ttft_seconds")
    b.lines("Stages, mean", "Where time goes; stages overlap. exposed: KV transfer that prefill did not hide.",
            [(mean("sluice_stage_seconds", M, ("stage",)), "{{stage}}")], "s")
    b.row("Promises")
    b.lines("Objectives met", "Share of ended requests that met both latency objectives, beside what is promised.",
            [(f"1 - sluice:slo_missed:ratio_rate5m{{{MC}}}", "{{class}}"),
             (f"max by (class) (sluice_slo_attainment_ratio{{{MC}}})", "{{class}}, promised")], "percentunit", floor=None,
            top=1)
    b.lines("Burn rate", "How many times as fast as allowed a class misses its objectives; 1: just as allowed.",
            [(f"sluice:slo_missed:ratio_rate{w}{{{MC}}} / on (model, class) sluice:slo_budget:ratio{{{MC}}}",
              f"{{{{class}}}}, {w}") for w in ("5m", "1h", "6h")], "short",
            thresholds=steps("green", (6, "orange"), (14.4, "red")))
    b.lines("Objectives, each", "Share of ended requests that met TTFT, and TPOT; the last 30 minutes.",
            [(f"sluice:objective_met:ratio_rate30m{{{MC}}}", "{{class}}, {{objective}}")], "percentunit", floor=None, top=1,
            thresholds=SHARE_MET)
    b.table("What is promised", "Objectives of each class, seconds.",
            [(f"max by (class, objective) (sluice_slo_objective_seconds{{{MC}}})", "")], "s")
    b.lines("Ended requests by class", "Requests that ended, and whether both objectives were met.",
            [(rate("sluice_slo_requests_total", MC, ("class", "met")), "{{class}}, met: {{met}}")], "reqps", width=12,
            stack=True)
    b.row("Load")
    b.lines("Requests by outcome", "Ended legs per second.",
            [(rate("sluice_requests_total", M, ("outcome",)), "{{outcome}}")], "reqps", stack=True)
    b.lines("Tokens", "Prompt tokens of placed requests, and tokens generated, per second.",
            [(rate("sluice_prompt_tokens_total"), "prompt"), (rate("sluice_output_tokens_total"), "output")], "short")
    b.lines("Legs", "Waiting and running.", [(f"sum(sluice_requests_waiting{{{M}}})", "waiting"),
                                             (f"sum(sluice_requests_running{{{M}}})", "running")], stack=True)
    b.lines("KV memory", "Share of the decode nodes' blocks that are promised to requests.",
            [('max by (model_name) (vllm:kv_cache_usage_perc{model=~"$model"})', "{{model_name}}")], "percentunit", top=1,
            thresholds=SHARE_USED)
    b.lines("Failures", "Share of ended legs that failed for a reason of ours; placements after a failure per second.",
            [(f"sluice:requests_failed:ratio_rate5m{{{M}}}", "failed"),
             (rate("sluice_resumes_total"), "placed again, per second")], "short", thresholds=SHARE_BAD)
    return b


def transfer():
    b = Board("sluice-kv", "Sluice: KV transfer and compression", "What goes over the links, how small, how well?",
              ("model", "node"))
    b.row("Compression")
    b.lines("Ratio", "KV bytes before compression per byte on the wire, by profile.",
            [(f"{rate('sluice_kv_raw_bytes_total', M, ('profile',))} / {rate('sluice_kv_wire_bytes_total', M, ('profile',))}",
              "{{profile}}")], "short", floor=1)
    b.lines("Bytes on the wire", "KV payload per second, by profile.",
            [(rate("sluice_kv_sent_wire_bytes_total", MN, ("profile",)), "{{profile}}")], "Bps", stack=True)
    b.lines("Bytes before compression", "KV per second, by profile.",
            [(rate("sluice_kv_sent_raw_bytes_total", MN, ("profile",)), "{{profile}}")], "Bps", stack=True)
    b.lines("Encoding", "Codec and seal time per request, on prefill nodes.",
            quantiles("sluice_kv_encode_seconds", MN), "s")
    b.lines("Decoding", "Seal check and codec time per request, on decode nodes.",
            quantiles("sluice_kv_decode_seconds", MN), "s")
    b.lines("Changes in mid-transfer", "Transfers that went on under a tighter profile, per second.",
            [(rate("sluice_kv_profile_changes_total", M, ("from", "to")), "{{from}} > {{to}}")], "ops")
    b.row("Links")
    b.lines("Bandwidth", "Measured by the sender.",
            [(f"sluice_link_bandwidth_bytes_per_second{{{MN}}}", "{{node}} > {{decode_node}}")], "Bps")
    b.lines("Round trip", "Measured by the sender.", [(f"sluice_link_rtt_seconds{{{MN}}}", "{{node}} > {{decode_node}}")], "s")
    b.lines("Waiting for credit", "Bytes that wait for the decode node's credit.",
            [(f"sluice_link_queue_bytes{{{MN}}}", "{{node}} > {{decode_node}}")], "bytes")
    b.lines("In flight", "Bytes sent that the decode node has not given back.",
            [(f"sluice_link_in_flight_bytes{{{MN}}}", "{{node}} > {{decode_node}}")], "bytes")
    b.lines("Received", "Verified payload per second, and the KV that came out of it.",
            [(rate("sluice_kv_received_wire_bytes_total", MN, ("node",)), "{{node}}, wire"),
             (rate("sluice_kv_received_raw_bytes_total", MN, ("node",)), "{{node}}, KV")], "Bps")
    b.lines("Staging", "Payload that is not decoded yet, and the memory that the staging pool holds.",
            [(f"sluice_kv_staged_bytes{{{MN}}}", "{{node}}, staged"),
             (f"sluice_kv_staging_mapped_bytes{{{MN}}}", "{{node}}, pool")], "bytes")
    b.row("Faults")
    b.lines("Frames", "KV frames per second by outcome.",
            [(rate("sluice_kv_frames_total", MN, ("outcome",)), "{{outcome}}")], "ops")
    b.lines("Transfer errors", "Share of a prefill node's prompts that ended in an error.",
            [(f"sluice:transfer_errors:ratio_rate5m{{{MN}}}", "{{node}}")], "percentunit", thresholds=SHARE_BAD)
    b.stat("Slow paths", "Connections over TCP although something faster is named, since the nodes' start.",
           [(f"sum(sluice_transport_slow_path_total{{{MN}}})", "")], thresholds=NONE_IS_GOOD)
    b.stat("Peers cut off", "For breaking the flow protocol, since the nodes' start.",
           [(f"sum(sluice_kv_violations_total{{{MN}}})", "")], thresholds=NONE_IS_GOOD)
    b.row("Quality")
    b.lines("KL of probes", "Mean of the last 6 hours' probes, beside what the profile states; nats.",
            [(f"sluice:quality_kl:mean6h{{{M}}}", "{{profile}}"),
             (f"max by (profile) (sluice_quality_stated_kl{{{M}}} and on (model, profile) sluice:quality_kl:mean6h)",
              "{{profile}}, stated")], "short")
    b.lines("Same first choice", "Share of probes in which exact and received KV have one most likely token.",
            [(f"{rate('sluice_quality_probe_top1_total', SAME, ('profile',), '[6h]')}"
              f" / {rate('sluice_quality_probe_top1_total', M, ('profile',), '[6h]')}", "{{profile}}")], "percentunit", top=1)
    b.lines("Profiles left", "1 while probes say that a profile exceeds its stated KL.",
            [(f"max by (profile) (sluice_quality_drift{{{M}}})", "{{profile}}")], thresholds=NONE_IS_GOOD, top=1)
    b.lines("Probes", "Quality probes per second by outcome, on decode nodes.",
            [(rate("sluice_quality_probes_total", MN, ("outcome",)), "{{outcome}}")], "ops")
    b.lines("References", "References of probes per second by outcome, on prefill nodes.",
            [(rate("sluice_quality_references_total", MN, ("outcome",)), "{{outcome}}")], "ops")
    b.heat("KL of probes, spread", "First token of probed requests, nats.", "sluice_quality_probe_kl", M, "short")
    return b


def controller():
    b = Board("sluice-controller", "Sluice: controller", "What is chosen, and does it come out as predicted?", ("model",))
    b.row("Choices")
    b.lines("By profile", "Decisions per second.",
            [(rate("sluice_decisions_total", M, ("profile",)), "{{profile}}")], "ops", stack=True)
    b.lines("By reason", "Decisions per second: best, explore, only (one candidate), cooled_fallback (all pairs rest).",
            [(rate("sluice_decisions_total", M, ("reason",)), "{{reason}}")], "ops", stack=True)
    b.lines("Exploration", "Share of decisions that try another candidate than the best.",
            [(f"({rate('sluice_decisions_total', EXPLORED)} or vector(0))"
              f" / {rate('sluice_decisions_total')}", "explored")], "percentunit")
    b.lines("By pair", "Decisions per second.",
            [(rate("sluice_decisions_total", M, ("prefill_node", "decode_node")), "{{prefill_node}} > {{decode_node}}")], "ops",
            width=12, stack=True)
    b.table("Arms", "Decisions of the last hour by nodes and profile.",
            [(f"sort_desc(sum by (prefill_node, decode_node, profile) (increase(sluice_decisions_total{{{M}}}[1h])))", "")])
    b.row("Predicted against actual")
    for what in ("ttft", "tpot"):
        b.lines(f"{what.upper()}, mean", "Predicted when the request was placed, and measured.",
                [(mean(f"sluice_{what}_predicted_seconds"), "predicted"), (mean(f"sluice_{what}_seconds"), "actual")], "s")
        b.lines(f"{what.upper()}, quantiles", "Of predictions, and of what was measured.",
                [(quantile(q, f"sluice_{what}_{kind}"), f"p{str(q)[2:].ljust(2, '0')} {word}")
                 for kind, word in (("predicted_seconds", "predicted"), ("seconds", "actual")) for q in (0.5, 0.9)], "s")
        b.lines(f"{what.upper()}, error", "abs(actual - predicted) / actual.",
                quantiles(f"sluice_{what}_prediction_error_ratio"), "percentunit",
                thresholds=steps("green", (0.2, "orange"), (0.5, "red")))
    b.row("What it reacts to")
    b.lines("Measurements of links", "At registration and of idle links, per second.",
            [(rate("sluice_link_probes_total", M, ("outcome",)), "{{outcome}}")], "ops")
    b.lines("Placed again", "Placements after a failure, per second.", [(rate("sluice_resumes_total"), "resumes")], "ops")
    b.lines("Refused early", "Per second, for what decode nodes are expected to hold: room, speed.",
            [(rate("sluice_early_rejections_total", M, ("why",)), "{{why}}")], "ops")
    return b


def nodes():
    b = Board("sluice-nodes", "Sluice: nodes", "How is each node?", ("model", "node"))
    b.row("All")
    b.lines("Scraped", "1 while Prometheus reaches the node's page.", [(f'up{{job="sluice-nodes", {MN}}}', "{{role}} {{node}}")],
            top=1)
    b.lines("KV blocks in use", "Share of the node's pool.", [(f"sluice:kv_blocks_used:ratio{{{MN}}}", "{{role}} {{node}}")],
            "percentunit", top=1, thresholds=SHARE_USED)
    b.table("Builds", "Version of each daemon.", [(f"max by (node, role, version) (sluice_build_info{{{M}}})", "")], width=8)
    b.row("Prefill")
    b.lines("Prompt tokens", "Computed per second.", [(rate("sluice_prefill_tokens_total", MN, ("node",)), "{{node}}")])
    b.lines("Measured speed", "Running mean of prefill speed, tokens per second.",
            [(f"sluice_prefill_tokens_per_second{{{MN}}}", "{{node}}")])
    b.lines("Queue", "Prompt tokens that are not computed yet.", [(f"sluice_prefill_queued_tokens{{{MN}}}", "{{node}}")])
    b.lines("Prompts", "Waiting: computation has not begun. Open: not reported yet.",
            [(f"sluice_prefill_waiting{{{MN}}}", "{{node}}, waiting"),
             (f"sluice_prefill_requests_open{{{MN}}}", "{{node}}, open")])
    b.lines("Ended prompts", "Per second by outcome.",
            [(rate("sluice_prefill_requests_total", MN, ("node", "outcome")), "{{node}}, {{outcome}}")], "reqps", width=16)
    b.row("Decode")
    b.lines("Output tokens", "Sampled per second.", [(rate("sluice_decode_tokens_total", MN, ("node",)), "{{node}}")])
    b.lines("Step", "Running mean of one decode step's time.", [(f"sluice_decode_step_seconds{{{MN}}}", "{{node}}")], "s")
    b.lines("Batch", "Running mean of a decode step's batch.", [(f"sluice_decode_step_batch{{{MN}}}", "{{node}}")])
    b.lines("Steps", "Engine steps per second.", [(rate("sluice_decode_steps_total", MN, ("node",)), "{{node}}")], "ops")
    b.lines("Legs", "Held by the node, and of those without KV yet.",
            [(f"sluice_legs{{{MN}}}", "{{node}}, held"), (f"sluice_legs_awaiting_kv{{{MN}}}", "{{node}}, without KV")])
    b.lines("Ended legs", "Per second by reason.",
            [(rate("sluice_decode_legs_total", MN, ("node", "reason")), "{{node}}, {{reason}}")], "reqps")
    b.lines("Peers", "Open KV connections.", [(f"sluice_kv_connections{{{MN}}}", "{{node}}")])
    b.row("Processes, the coordinator too")
    b.lines("CPU", "Cores in use.", [(rate("process_cpu_seconds_total", M, ("node",)), "{{node}}")], "short")
    b.lines("Memory", "Resident.", [(f"process_resident_memory_bytes{{{M}}}", "{{node}}")], "bytes")
    b.lines("File descriptors", "Share of those that the process may open.",
            [(f"process_open_fds{{{M}}} / process_max_fds{{{M}}}", "{{node}}")], "percentunit", thresholds=SHARE_USED)
    b.lines("Uptime", "Since the process started.", [(f"time() - process_start_time_seconds{{{M}}}", "{{node}}")], "s")
    return b


def front():
    api = M + ', route=~"/v1/.+"'
    b = Board("sluice-front", "Sluice: front door", "HTTP, the threads that read requests, refusals.", ("model",))
    b.row("HTTP")
    b.lines("Requests by status", "Of the API, per second. 0: cut before any answer.",
            [(rate("sluice_http_requests_total", api, ("status",)), "{{status}}")], "reqps", stack=True)
    b.lines("Requests by route", "Per second.", [(rate("sluice_http_requests_total", M, ("route",)), "{{route}}")], "reqps")
    b.lines("Refused by code", "API requests with status 400 and above, per second.",
            [(rate("sluice_http_requests_total", api + ', status=~"[45]..", code!="none"', ("status", "code")),
              "{{status}} {{code}}")], "reqps", stack=True)
    b.lines("Connections", "Open, and requests being answered.",
            [(f"sum(sluice_http_connections{{{M}}})", "open"), (f"sum(sluice_http_requests_active{{{M}}})", "being answered")])
    b.lines("Connections, changes", "Accepted, and ended by the server or a client that cut an answer, per second.",
            [(rate("sluice_http_connections_accepted_total"), "accepted"),
             (rate("sluice_http_connections_closed_total", M, ("why",)), "{{why}}")], "ops")
    b.lines("Bytes", "Over HTTP, per second.", [(rate("sluice_http_bytes_total", M, ("direction",)), "{{direction}}")], "Bps")
    b.row("Refusals")
    b.lines("429", "Share of API requests that were turned away; the last 5 minutes.",
            [(f"sluice:http_shed:ratio_rate5m{{{M}}}", "429")], "percentunit", thresholds=SHARE_BAD)
    b.lines("Legs refused", "Before they were placed, per second, by code.",
            [(rate("sluice_requests_refused_total", M, ("code",)), "{{code}}")], "reqps")
    b.lines("Refused early", "Per second, for what decode nodes are expected to hold: room, speed.",
            [(rate("sluice_early_rejections_total", M, ("why",)), "{{why}}")], "reqps")
    b.row("Reading requests: parse, render, tokenize")
    b.lines("Waiting", "Requests that wait to be read, by lane.",
            [(f"sum by (lane) (sluice_prompt_jobs_waiting{{{M}}})", "{{lane}}")])
    b.lines("Waiting bytes", "Their bytes, by lane.",
            [(f"sum by (lane) (sluice_prompt_waiting_bytes{{{M}}})", "{{lane}}")], "bytes")
    b.lines("Threads busy", "Share of the lane's threads.",
            [(f"{rate('sluice_prompt_work_seconds_total', M, ('lane',))} / sum by (lane) (sluice_prompt_threads{{{M}}})",
              "{{lane}}")], "percentunit", thresholds=SHARE_USED)
    b.lines("Time waited", "Mean per request, by lane.",
            [(f"{rate('sluice_prompt_wait_seconds_total', M, ('lane',))} / {rate('sluice_prompt_jobs_total', M, ('lane',))}",
              "{{lane}}")], "s")
    b.lines("Requests read", "Per second, by lane and outcome.",
            [(rate("sluice_prompt_jobs_total", M, ("lane", "outcome")), "{{lane}}, {{outcome}}")], "reqps")
    b.lines("Bytes read", "Per second, by lane.", [(rate("sluice_prompt_bytes_total", M, ("lane",)), "{{lane}}")], "Bps")
    return b


def tenants():
    mt = M + ', tenant=~"$tenant"'
    b = Board("sluice-tenants", "Sluice: tenants", "Who asks, what it costs, and whose budgets are spent.",
              ("model", "tenant"))
    b.row("Now")
    b.stat("Requests", "Admitted, per second.",
           [(rate("sluice_tenant_requests_total", mt + ', outcome="admitted"'), "")], "reqps")
    b.stat("Tokens", "Of prompts and answers, per second.", [(rate("sluice_tenant_tokens_total", mt), "")], "short")
    b.stat("Being answered", "Requests.", [(f"sum(sluice_tenant_requests_running{{{mt}}})", "")])
    b.stat("Refused", "Share of requests that a spent budget turned away.",
           [(rate("sluice_tenant_requests_total", mt + ', outcome="rate_limited"') + " / "
             + rate("sluice_tenant_requests_total", mt), "")],
           "percentunit", thresholds=SHARE_BAD)
    b.stat("API keys", "Accepted; 0: the API asks for none.", [(f"sluice_api_keys{{{M}}}", "")])
    b.stat("Key files refused", "Changed files of keys that could not be used, last hour.",
           [(f"sum(increase(sluice_api_key_reload_failures_total{{{M}}}[1h]))", "")], thresholds=NONE_IS_GOOD)
    b.row("Use")
    b.lines("Requests", "Admitted, per second.",
            [(rate("sluice_tenant_requests_total", mt + ', outcome="admitted"', ("tenant",)), "{{tenant}}")], "reqps", stack=True)
    b.lines("Prompt tokens", "Per second.",
            [(rate("sluice_tenant_tokens_total", mt + ', kind="prompt"', ("tenant",)), "{{tenant}}")], stack=True)
    b.lines("Answer tokens", "Per second.",
            [(rate("sluice_tenant_tokens_total", mt + ', kind="completion"', ("tenant",)), "{{tenant}}")], stack=True)
    b.lines("Being answered", "Requests at a time.", [(f"sum by (tenant) (sluice_tenant_requests_running{{{mt}}})", "{{tenant}}")],
            stack=True)
    b.row("Refusals")
    b.lines("Budgets spent", "Requests turned away (429) per second, by the budget: requests or tokens per minute, requests at a "
            "time.", [(rate("sluice_tenant_rate_limited_total", mt, ("tenant", "limit")), "{{tenant}}, {{limit}}")], "reqps")
    b.lines("Not allowed", "Requests for a model or an SLO class that the key does not name (403), per second.",
            [(rate("sluice_tenant_requests_total", mt + ', outcome="denied"', ("tenant",)), "{{tenant}}")], "reqps")
    b.table("Last day", "Tokens used by tenant.",
            [(f"sum by (tenant, kind) (increase(sluice_tenant_tokens_total{{{mt}}}[1d]))", "")], "short", width=8)
    return b


BOARDS = {"serving": serving, "kv_transfer": transfer, "controller": controller, "nodes": nodes, "front_door": front, "tenants": tenants}


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    check = args.parse_args().check
    texts = {OUT / f"{name}.json": json.dumps(make().json(), indent=1) + "\n" for name, make in BOARDS.items()}
    stale = [f for f, text in texts.items() if not f.exists() or f.read_text() != text]
    stale += [f for f in OUT.glob("*.json") if f not in texts]
    if not check:
        OUT.mkdir(parents=True, exist_ok=True)
        for f, text in texts.items():
            f.write_text(text)
        return 0
    for f in stale:
        print(f"{f} is not what tools/dashboards.py writes; run it", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
