#include "prefill_node/prefill_trace.h"

namespace sluice::prefill {

void trace_prefill(const OpenRequest& r, const node::ExportEnd& end, TimePoint now, trace::SpanSink& sink) {
  const control::PrefillRequest& call = r.prompt.call;
  const trace::Parent leg = trace::named_parent(call.traceparent, call.tracestate, &sink);
  if (!leg) return;
  trace::Span whole = trace::child_span(leg.context, "prefill", r.received, now);
  const auto child = [&](std::string_view name, TimePoint from, TimePoint to) {
    return trace::child_span(whole.context, name, from, to);
  };
  whole.attributes.set("gen_ai.request.id", call.trace_id);
  whole.attributes.set("sluice.attempt", call.attempt);
  whole.attributes.set("sluice.decode_node", r.prompt.ticket.decode_node.value());
  whole.attributes.set("sluice.profile", call.profile);
  whole.attributes.set("sluice.tokens", r.prompt.ticket.tokens.count);
  whole.attributes.set("sluice.cached_tokens", r.times.cached);
  if (!end.outcome) {
    whole.attributes.set("error.type", name(end.outcome.error().code));
    whole.error = end.outcome.error().message;
  }
  if (r.times.begun != TimePoint{}) {
    sink.add(child("prefill.queue", r.received, r.times.begun));
    trace::Span compute = child("prefill.compute", r.times.begun, r.times.done);
    compute.attributes.set("sluice.busy_seconds", r.times.compute_s);
    sink.add(std::move(compute));
  }
  if (end.encode_begin) {
    trace::Span encode = child("encode", *end.encode_begin, *end.encode_end);
    encode.attributes.set("sluice.busy_seconds", end.encode_s);
    encode.attributes.set("sluice.kv_raw_bytes", end.raw_bytes);
    encode.attributes.set("sluice.kv_wire_bytes", end.wire_bytes);
    sink.add(std::move(encode));
  }
  if (end.first_sent) {
    trace::Span wire = child("wire", *end.first_sent, end.confirmed.value_or(now));
    wire.attributes.set("sluice.kv_raw_bytes", end.raw_bytes);
    wire.attributes.set("sluice.kv_wire_bytes", end.wire_bytes);
    wire.attributes.set("sluice.exposed_seconds", end.exposed_s);
    if (end.changed_to != nullptr) wire.attributes.set("sluice.changed_to", end.changed_to->name);
    sink.add(std::move(wire));
  }
  sink.add(std::move(whole));
}

}  // namespace sluice::prefill
