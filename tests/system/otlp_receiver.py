"""A receiver of OTLP over HTTP that reads strictly, with OpenTelemetry's own protobuf classes.

JSON bodies are turned from OTLP's form (ids in hex) into protobuf's JSON form (ids in base64) and parsed by protobuf itself,
which refuses unknown fields and wrong types. What cannot be read is kept in `faults`.
"""
import base64
import http.server
import json
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}


def _ids_to_base64(node):
    if isinstance(node, list):
        return [_ids_to_base64(v) for v in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key in _IDS:
            raw = bytes.fromhex(value)
            if len(raw) != _IDS[key] or value != value.lower() or not any(raw):
                raise ValueError(f"{key}: {value}")
            value = base64.b64encode(raw).decode()
        out[key] = _ids_to_base64(value)
    return out


def _value(v):
    kind = v.WhichOneof("value")
    return [_value(x) for x in v.array_value.values] if kind == "array_value" else getattr(v, kind)


def _attributes(list_):
    keys = [a.key for a in list_]
    if len(set(keys)) != len(keys):
        raise ValueError(f"an attribute twice: {keys}")
    return {a.key: _value(a.value) for a in list_}


class Span:
    def __init__(self, s, resource):
        self.resource = resource
        self.trace, self.id, self.parent = s.trace_id.hex(), s.span_id.hex(), s.parent_span_id.hex()
        self.name, self.kind, self.state = s.name, s.kind, s.trace_state
        self.begin, self.end = s.start_time_unix_nano, s.end_time_unix_nano
        self.attributes = _attributes(s.attributes)
        self.events = [(e.name, e.time_unix_nano, _attributes(e.attributes)) for e in s.events]
        self.failed, self.why = s.status.code == 2, s.status.message

    def __repr__(self):
        return f"{self.resource['service.name']}/{self.name} [{self.begin}, {self.end}] {self.attributes} {self.events}"


class OtlpReceiver:
    """`with OtlpReceiver() as r:` listens at r.endpoint. `status` and `delay_s` say how it answers."""

    def __init__(self):
        self.status, self.delay_s, self.headers = 200, 0, {}
        self.faults, self.requests = [], 0
        self._spans = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(receiver.delay_s)
                status = receiver._take(self.path, self.headers, body)
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", "2")
                    for name, value in receiver.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(b"{}")
                except OSError:  # who waited has gone
                    pass

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_port

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _take(self, path, headers, body):
        with self._lock:
            self.requests += 1
            if self.status != 200:
                return self.status
            try:
                if (path, headers["content-type"]) != ("/v1/traces", "application/json"):
                    raise ValueError(f"{path} {headers['content-type']}")
                message = json_format.ParseDict(_ids_to_base64(json.loads(body)), ExportTraceServiceRequest())
                for r in message.resource_spans:
                    resource = _attributes(r.resource.attributes)
                    for scope in r.scope_spans:
                        self._spans += [Span(s, resource) for s in scope.spans]
            except Exception as e:  # whatever it is, the test is to see it
                self.faults.append(repr(e))
                return 400
            return 200

    def spans(self):
        with self._lock:
            return list(self._spans)

    def trace(self, trace_id, names, limit_s=20):
        """The spans of a trace, once each of `names` is there."""
        end = time.monotonic() + limit_s
        while True:
            found = [s for s in self.spans() if s.trace == trace_id]
            if not set(names) - {s.name for s in found}:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"no {set(names) - {s.name for s in found}} within {limit_s} s in {found}; {self.faults}")
            time.sleep(0.05)
