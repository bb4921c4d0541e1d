#include "decode_node/decode_trace.h"

namespace sluice::decode {
namespace {

struct TracedLeg {
  trace::Parent parent;
  std::string request_id, profile;
  std::string prefill_node;  // empty: its prompt is computed here
  std::uint32_t attempt = 0;
};

trace::Span span_of(const TracedLeg& leg, std::string_view name, TimePoint begin, TimePoint end) {
  trace::Span s = trace::child_span(leg.parent.context, name, begin, end);
  s.attributes.set("gen_ai.request.id", leg.request_id);
  s.attributes.set("sluice.attempt", leg.attempt);
  return s;
}

/// One that ended before its time is an error, but for a cancel, which the coordinator asked for.
void tell_error(trace::Span& s, const std::optional<Error>& e) {
  if (!e) return;
  s.attributes.set("error.type", name(e->code));
  s.error = e->message;
}

trace::Span receive(const TracedLeg& leg, const LegTimes& t) {
  trace::Span s = span_of(leg, "receive", t.admitted, t.ready.value_or(t.ended));
  s.attributes.set("sluice.prefill_node", leg.prefill_node);
  s.attributes.set("sluice.profile", leg.profile);
  if (!t.ready) {
    tell_error(s, t.error);
    return s;
  }
  s.attributes.set("sluice.kv_raw_bytes", t.kv.raw_bytes);
  s.attributes.set("sluice.kv_wire_bytes", t.kv.wire_bytes);
  s.attributes.set("sluice.busy_seconds", t.kv.decode_s);
  if (!t.kv.changed_to.empty()) s.attributes.set("sluice.changed_to", t.kv.changed_to);
  return s;
}

trace::Span decode(const TracedLeg& leg, const LegTimes& t) {
  trace::Span s = span_of(leg, "decode", *t.ready, t.ended);
  s.attributes.set("gen_ai.usage.output_tokens", t.tokens);
  s.attributes.set("gen_ai.response.finish_reasons", std::vector<std::string>{t.reason});
  if (t.first_token) s.events.push_back({.name = "first token", .at = *t.first_token, .attributes = {}});
  tell_error(s, t.error);
  return s;
}

}  // namespace

std::function<void(const LegTimes&)> tell_trace_of(const control::ReserveRequest& r, trace::SpanSink* sink) {
  trace::Parent parent = trace::named_parent(r.traceparent, r.tracestate, sink);
  if (!parent) return nullptr;
  TracedLeg leg{std::move(parent), r.trace_id, r.profile, {}, r.attempt};
  if (r.kv_tokens > 0) leg.prefill_node = r.prefill_node.value();
  return [leg = std::move(leg)](const LegTimes& t) {
    if (!leg.prefill_node.empty()) leg.parent.sink->add(receive(leg, t));
    if (t.ready) leg.parent.sink->add(decode(leg, t));
  };
}

void trace_copy(const CopyTrace& c, const CopyTimes& t, const control::Moved& came_to) {
  if (!c.parent) return;
  trace::Span s = trace::child_span(c.parent.context, "copy", t.began, t.ended);
  s.attributes.set("gen_ai.request.id", c.request_id);
  s.attributes.set("sluice.attempt", came_to.attempt);
  s.attributes.set("sluice.to_node", c.target);
  s.attributes.set("sluice.profile", c.profile);
  s.attributes.set("sluice.stop", c.stop);
  s.attributes.set("sluice.kv_raw_bytes", came_to.raw_bytes);
  s.attributes.set("sluice.kv_wire_bytes", came_to.wire_bytes);
  s.attributes.set("sluice.exposed_seconds", came_to.exposed_s);
  if (t.halted) s.events.push_back({.name = "halted", .at = *t.halted, .attributes = {}});
  tell_error(s, came_to.error);
  c.parent.sink->add(std::move(s));
}

}  // namespace sluice::decode
