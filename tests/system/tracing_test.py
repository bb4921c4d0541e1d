#!/usr/bin/env python3
"""Traces of requests through three real processes, at a real OTLP receiver that reads them with protobuf.

ctest runs this with any python3; it goes on under the one of --venv (made by tools/test_venv.sh), or says that it is missing
and exits 77, which ctest counts as skipped.
"""
import http.client
import json
import random
import subprocess
import sys
import time
import unittest

import venv_suite

STAGES = {"read", "leg", "queue", "decide", "reserve", "prefill", "prefill.queue", "prefill.compute", "encode", "wire",
          "receive", "decode"}
# Who tells what, below what. The request's own span is named after the model.
ROOT = "text_completion sluice-tiny"
PARENTS = {"read": ROOT, "leg": ROOT, "queue": "leg", "decide": "leg", "reserve": "leg", "prefill": "leg", "receive": "leg",
           "decode": "leg", "prefill.queue": "prefill", "prefill.compute": "prefill", "encode": "prefill", "wire": "prefill"}
SERVICES = {"sluice-prefill": {"prefill", "prefill.queue", "prefill.compute", "encode", "wire"},
            "sluice-decode": {"receive", "decode"},
            "sluice-coordinator": {ROOT, "read", "leg", "queue", "decide", "reserve"}}
PROMPT = "It was the best of times, said the xylophonist. " * 12
SLACK_NS = 2_000_000  # by which clocks of processes on one machine may differ, see unix_nanos()
receiver = cluster = None
bin_dir = None


def trace_id():
    return "%032x" % random.getrandbits(128)


def post(url, body, headers=()):
    """(answer, body) of one request."""
    c = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    c.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json", **dict(headers)})
    answer = c.getresponse()
    return answer, answer.read()


def ask(url=None, headers=(), **more):
    return post(url or cluster.http, {"prompt": PROMPT, "max_tokens": 8, "ignore_eos": True, **more}, headers)


class Tracing(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(receiver.faults, [])

    def one(self, spans, name):
        found = [s for s in spans if s.name == name]
        self.assertEqual(len(found), 1, f"{name} in {spans}")
        return found[0]

    def check_tree(self, spans):
        """Each stage once, told by whom it should be, within its parent."""
        self.assertEqual({s.name for s in spans}, STAGES | {ROOT})
        self.assertEqual(len({s.id for s in spans}), len(spans))
        for name, parent in PARENTS.items():
            child, above = self.one(spans, name), self.one(spans, parent)
            self.assertEqual(child.parent, above.id, name)
            self.assertGreaterEqual(child.begin + SLACK_NS, above.begin, (child, above))
            self.assertLessEqual(child.end, above.end + SLACK_NS, (child, above))
        for s in spans:
            self.assertLessEqual(s.begin, s.end, s)
            self.assertLess(abs(s.begin / 1e9 - time.time()), 120, s)
            self.assertIn(s.name, SERVICES[s.resource["service.name"]])
            self.assertFalse(s.failed, s)
            for value in s.attributes.values():
                self.assertNotIn("xylophonist", str(value), s)

    def test_all_stages_of_a_request_are_one_trace(self):
        trace, parent = trace_id(), "00f067aa0ba902b7"
        answer, body = ask(headers={"traceparent": f"00-{trace}-{parent}-01", "tracestate": "a=1", "x-request-id": "r-7"},
                           sluice={"profile": "q8", "explain": True})
        self.assertEqual(answer.status, 200, body)
        body = json.loads(body)
        spans = receiver.trace(trace, STAGES | {ROOT})
        self.check_tree(spans)
        root = self.one(spans, ROOT)
        self.assertEqual(root.parent, parent)
        self.assertEqual(root.kind, 2)
        self.assertEqual(answer.getheader("traceparent"), f"00-{trace}-{root.id}-01")
        self.assertEqual({s.state for s in spans}, {"a=1"})
        a = root.attributes
        self.assertEqual((a["gen_ai.operation.name"], a["gen_ai.request.model"], a["gen_ai.request.id"]),
                         ("text_completion", "sluice-tiny", "r-7"))
        self.assertEqual(a["gen_ai.request.max_tokens"], 8)
        self.assertEqual(a["gen_ai.usage.input_tokens"], body["usage"]["prompt_tokens"])
        self.assertEqual(a["gen_ai.usage.output_tokens"], 8)
        self.assertEqual(a["gen_ai.response.finish_reasons"], ["length"])
        self.assertEqual(a["http.response.status_code"], 200)
        self.assertAlmostEqual(a["gen_ai.server.time_to_first_token"], body["sluice"]["ttft_ms"] / 1e3, places=3)

        decide = self.one(spans, "decide").attributes
        self.assertEqual((decide["sluice.prefill_node"], decide["sluice.decode_node"], decide["sluice.profile"]),
                         ("p0", "d0", "q8"))
        self.assertGreater(decide["sluice.predicted_ttft_seconds"], 0)
        self.assertGreaterEqual(decide["sluice.considered"], 1)
        wire = self.one(spans, "wire").attributes
        self.assertEqual((wire["sluice.kv_raw_bytes"], wire["sluice.kv_wire_bytes"]),
                         (body["sluice"]["kv_raw_bytes"], body["sluice"]["kv_wire_bytes"]))
        self.assertLess(wire["sluice.kv_wire_bytes"], wire["sluice.kv_raw_bytes"])
        decode = self.one(spans, "decode")
        self.assertEqual(decode.attributes["gen_ai.usage.output_tokens"], 8)
        self.assertEqual([e[0] for e in decode.events], ["first token"])
        self.assertTrue(decode.begin <= decode.events[0][1] <= decode.end)
        self.assertEqual({s.resource["service.instance.id"] for s in spans
                          if s.resource["service.name"] != "sluice-coordinator"}, {"p0", "d0"})
        # Stages follow one another as they should.
        order = [self.one(spans, n).begin for n in ("queue", "decide", "reserve", "prefill", "prefill.compute", "wire",
                                                    "decode")]
        self.assertEqual(order, sorted(order))

    def test_a_request_without_a_parent_begins_a_trace(self):
        answer, _ = ask(stream=True)
        version, trace, span, flags = answer.getheader("traceparent").split("-")
        self.assertEqual((version, flags), ("00", "01"))
        spans = receiver.trace(trace, STAGES | {ROOT})
        self.check_tree(spans)
        root = self.one(spans, ROOT)
        self.assertEqual((root.id, root.parent), (span, ""))

    def test_each_choice_has_its_leg(self):
        trace = trace_id()
        ask(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, n=2)
        receiver.trace(trace, STAGES | {ROOT})
        time.sleep(1.5)  # nodes send once a second
        spans = receiver.trace(trace, STAGES | {ROOT})
        legs = {s.id: s.attributes["sluice.choice"] for s in spans if s.name == "leg"}
        self.assertEqual(sorted(legs.values()), [0, 1])
        for name in ("prefill", "decode", "receive"):
            self.assertEqual({s.parent for s in spans if s.name == name}, set(legs), name)

    def test_an_unsampled_parent_is_followed_too(self):
        trace = trace_id()
        answer, _ = ask(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-00"})
        self.assertRegex(answer.getheader("traceparent"), f"^00-{trace}-[0-9a-f]{{16}}-00$")
        time.sleep(2.5)
        self.assertEqual([s for s in receiver.spans() if s.trace == trace], [])

    def test_a_colocated_request_has_no_transfer(self):
        trace = trace_id()
        ask(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, sluice={"mode": "colocated"})
        spans = receiver.trace(trace, {ROOT, "leg", "decode"})
        self.assertFalse({s.name for s in spans} & {"prefill", "wire", "receive"})

    def test_a_refusal_is_in_the_trace(self):
        trace = trace_id()
        answer, _ = ask(headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, sluice={"profile": "none such"})
        self.assertEqual(answer.status, 404)
        spans = receiver.trace(trace, {ROOT, "read", "leg"})
        self.assertEqual(self.one(spans, ROOT).attributes["http.response.status_code"], 404)
        self.assertTrue(self.one(spans, "leg").failed)

    def test_metrics_count_what_left(self):
        ask()
        self.assertGreater(cluster.metric("sluice_trace_spans_total", 'outcome="exported"'), 0)
        self.assertEqual(cluster.metric("sluice_trace_spans_total", 'outcome="failed"'), 0)


class Receivers(unittest.TestCase):
    """Receivers that are away, slow or busy, and daemons that end."""

    def test_a_receiver_that_is_away_or_busy_costs_nothing_but_spans(self):
        with otlp.OtlpReceiver() as r, Cluster(bin_dir, env={"OTEL_EXPORTER_OTLP_ENDPOINT": r.endpoint}) as c:
            r.status, r.headers = 503, {"retry-after": "0"}
            for _ in range(5):
                self.assertEqual(ask(c.http)[0].status, 200)
            r.status, r.delay_s = 400, 0
            end = time.monotonic() + 30
            while not c.metric("sluice_trace_spans_total", 'outcome="failed"'):
                self.assertLess(time.monotonic(), end, "no batch was given up")
                time.sleep(0.1)
            r.delay_s = 30  # and then it hangs
            took = []
            for _ in range(5):
                begin = time.monotonic()
                self.assertEqual(ask(c.http)[0].status, 200)
                took.append(time.monotonic() - begin)
            self.assertLess(max(took), 10)
            r.delay_s, r.status = 0, 200
        self.assertEqual(r.faults, [])

    def test_a_queue_that_is_full_drops_and_counts(self):
        with Cluster(bin_dir, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) as c:
            end = time.monotonic() + 60
            while not c.metric("sluice_trace_spans_total", 'outcome="dropped"'):
                self.assertLess(time.monotonic(), end, "nothing was dropped")
                # 128 legs, each with its queue and its end, that are refused at once.
                answer, body = post(c.http, {"prompt": ["a"] * 64, "n": 2, "max_tokens": 1, "sluice": {"profile": "no"}})
                self.assertEqual(answer.status, 404, body)
            self.assertEqual(ask(c.http)[0].status, 200)

    def test_what_is_left_leaves_at_the_end(self):
        trace = trace_id()
        with otlp.OtlpReceiver() as r:
            with Cluster(bin_dir, env={"OTEL_EXPORTER_OTLP_ENDPOINT": r.endpoint, "OTEL_SERVICE_NAME": "chat-eu"}) as c:
                ask(c.http, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
                begin = time.monotonic()
            self.assertLess(time.monotonic() - begin, 15)
            spans = r.trace(trace, STAGES | {ROOT}, limit_s=0)
            self.assertEqual({s.resource["service.name"] for s in spans}, {"chat-eu"})
            self.assertEqual(r.faults, [])

    def test_without_a_share_only_sampled_parents_are_traced(self):
        trace = trace_id()
        with otlp.OtlpReceiver() as r:
            with Cluster(bin_dir, coordinator_flags=["--trace-share", "0"],
                         env={"OTEL_EXPORTER_OTLP_ENDPOINT": r.endpoint}) as c:
                self.assertEqual(ask(c.http)[0].getheader("traceparent")[-3:], "-00")
                ask(c.http, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
            self.assertEqual({s.trace for s in r.spans()}, {trace})

    def test_a_resumed_request_says_so(self):
        trace = trace_id()
        with otlp.OtlpReceiver() as r, Cluster(bin_dir, decodes=2, env={"OTEL_EXPORTER_OTLP_ENDPOINT": r.endpoint}) as c:
            h = http.client.HTTPConnection(c.http.removeprefix("http://"), timeout=60)
            h.request("POST", "/v1/completions",
                      json.dumps({"prompt": PROMPT, "max_tokens": 400, "ignore_eos": True, "stream": True}),
                      {"content-type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
            answer = h.getresponse()
            answer.readline()
            running = [n for n in ("d0", "d1") if c.metric("sluice_decisions_total", f'decode_node="{n}"')]
            self.assertEqual(len(running), 1, running)
            c.kill(running[0])
            self.assertIn(b"[DONE]", answer.read())
            leg = next(s for s in r.trace(trace, {ROOT, "leg", "decode"}) if s.name == "leg")
            self.assertEqual(leg.attributes["sluice.resumes"], 1)
            self.assertEqual([e[0] for e in leg.events], ["attempt failed", "first token"])
            self.assertEqual(leg.events[0][2]["sluice.decode_node"], running[0])
            self.assertGreaterEqual(leg.events[0][2]["sluice.tokens_sent"], 1)

    def test_a_bad_endpoint_ends_the_start_with_words(self):
        for program in ("sluice-coordinator", "sluice-prefill", "sluice-decode"):
            flags = [] if program == "sluice-coordinator" else ["--coordinator", "127.0.0.1:1"]
            done = subprocess.run([bin_dir / program, "--model", cluster_module.MODEL, *flags, "--otlp-endpoint",
                                   "https://otel:4318"], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--otlp-endpoint", done.stderr)
            self.assertIn("without TLS", done.stderr)


def main():
    global bin_dir, receiver, cluster, otlp, cluster_module, Cluster
    args = venv_suite.enter(names=True)

    import cluster as cluster_module
    import otlp_receiver as otlp
    Cluster, bin_dir = cluster_module.Cluster, args.bin
    with otlp.OtlpReceiver() as receiver, Cluster(
            args.bin, coordinator_flags=["--otlp-endpoint", receiver.endpoint],
            env={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}) as cluster:
        venv_suite.run(Tracing, Receivers, names=args.names)
    return 0


if __name__ == "__main__":
    sys.exit(main())
