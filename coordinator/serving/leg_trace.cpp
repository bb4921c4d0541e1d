#include "coordinator/serving/leg_trace.h"

#include <algorithm>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {
namespace {

void name_nodes(trace::Attributes& a, const Session& s) {
  if (!s.run.local) a.set("sluice.prefill_node", s.run.prefill.value());
  a.set("sluice.decode_node", s.run.decode.value());
  a.set("sluice.profile", s.shown_profile());
  a.set("sluice.attempt", s.run.number);
}

/// Latencies under the names that vLLM gives them.
void tell_latencies(trace::Attributes& a, const Session& s, TimePoint now) {
  const double queue = s.asked.features.waited_s + s.seen.node_queue_s;
  a.set("gen_ai.latency.time_in_queue", queue);
  a.set("gen_ai.latency.e2e", seconds((s.end.finished == TimePoint{} ? now : s.end.finished) - s.asked.spec.received));
  const auto ttft = s.ttft_s();
  if (!ttft) return;
  a.set("gen_ai.latency.time_to_first_token", *ttft);
  if (!s.undisturbed()) return;  // it began more than once: the phases are no such sequence
  const double prefill = std::max(0.0, *ttft - queue);
  const double decode = seconds(s.answer.last_token - *s.answer.first_token);
  a.set("gen_ai.latency.time_in_model_prefill", prefill);
  a.set("gen_ai.latency.time_in_model_decode", decode);
  a.set("gen_ai.latency.time_in_model_inference", prefill + decode);
}

}  // namespace

LegTrace::LegTrace(const trace::Parent& request, TimePoint now)
    : sink_(*request.sink),
      leg_(trace::child_span(request.context, "leg", now, now)),
      trace_id_(request.context.trace.hex()),
      waiting_(now),
      deciding_(now) {}

void LegTrace::tell(std::string& traceparent, std::string& tracestate) const {
  traceparent = trace::format_traceparent(leg_.context);
  tracestate = leg_.context.state;
}

void LegTrace::decided(const Session& s, TimePoint now) {
  decided_ = now;
  sink_.add(child("queue", waiting_, deciding_));
  trace::Span d = child("decide", deciding_, now);
  name_nodes(d.attributes, s);
  d.attributes.set("sluice.reason", name(s.run.reason));
  d.attributes.set("sluice.considered", s.run.considered);
  d.attributes.set("sluice.cut", s.run.cut);
  d.attributes.set("sluice.predicted_ttft_seconds", s.run.predicted_ttft_s);
  d.attributes.set("sluice.predicted_tpot_seconds", s.run.predicted_tpot_s);
  if (!s.run.local) d.attributes.set("sluice.quality_kl", s.run.kl);
  sink_.add(std::move(d));
}

void LegTrace::reserved(const Session& s, TimePoint now) {
  trace::Span r = child("reserve", decided_, now);
  r.attributes.set("sluice.decode_node", s.run.decode.value());
  sink_.add(std::move(r));
}

void LegTrace::failed(const Session& s, const Error& why, TimePoint now) {
  trace::Event e{.name = "attempt failed", .at = now, .attributes = {}};
  name_nodes(e.attributes, s);
  e.attributes.set("error.type", name(why.code));
  e.attributes.set("sluice.why", why.message);
  e.attributes.set("sluice.tokens_sent", s.answer.emitted.size());
  leg_.events.push_back(std::move(e));
  waiting_ = deciding_ = now;
}

void LegTrace::moved(const Session& s, const Moving& m, MoveOutcome how, TimePoint now) {
  trace::Span x = child("move", m.began, now);
  x.attributes.set("sluice.from_node", s.run.decode.value());
  x.attributes.set("sluice.to_node", m.target.value());
  x.attributes.set("sluice.reason", name(m.reason));
  x.attributes.set("sluice.outcome", name(how));
  x.attributes.set("sluice.profile", m.profile);
  x.attributes.set("sluice.stop", m.stop);
  sink_.add(std::move(x));
}

void LegTrace::ended(const Session& s, std::string_view outcome, TimePoint now) {
  leg_.end = now;
  trace::Attributes& a = leg_.attributes;
  if (s.run.number > 0)
    name_nodes(a, s);
  else
    sink_.add(child("queue", waiting_, now));  // it never got a place
  a.set("gen_ai.request.id", s.asked.spec.request_id);
  a.set("sluice.choice", s.asked.spec.choice);
  a.set("sluice.slo_class", s.asked.slo_class);
  a.set("sluice.outcome", outcome);
  a.set("sluice.resumes", s.answer.resumes);
  a.set("gen_ai.usage.input_tokens", s.asked.features.prompt_tokens);
  a.set("gen_ai.usage.output_tokens", s.answer.emitted.size());
  if (s.seen.wire_bytes > 0) {
    a.set("sluice.kv_raw_bytes", s.seen.raw_bytes);
    a.set("sluice.kv_wire_bytes", s.seen.wire_bytes);
  }
  if (s.answer.change) a.set("sluice.changed_to", s.answer.change->to);
  tell_latencies(a, s, now);
  if (s.answer.first_token)
    leg_.events.push_back({.name = "first token", .at = *s.answer.first_token, .attributes = {}});
  if (s.end.error) {
    a.set("error.type", name(s.end.error->code));
    leg_.error = s.end.error->message;
  }
  sink_.add(std::move(leg_));
}

}  // namespace sluice::coordinator
