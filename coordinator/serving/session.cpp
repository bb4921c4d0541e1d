#include "coordinator/serving/session.h"

#include <algorithm>

namespace sluice::coordinator {

std::string_view name(SessionState s) noexcept {
  switch (s) {
    case SessionState::waiting:
      return "waiting";
    case SessionState::reserving:
      return "reserving";
    case SessionState::prefilling:
      return "prefilling";
    case SessionState::decoding:
      return "decoding";
    case SessionState::reporting:
      return "reporting";
    case SessionState::ended:
      return "ended";
  }
  return "ended";
}

std::optional<double> Session::ttft_s() const {
  if (!first_token) return std::nullopt;
  return seconds(*first_token - spec.received);
}

std::optional<double> Session::tpot_s() const {
  if (!first_token || emitted.size() < 2) return std::nullopt;
  return seconds(last_token - *first_token) / static_cast<double>(emitted.size() - 1);
}

Measured Session::measured() const {
  Measured m{.queue_s = node_queue_s,
             .compute_s = prefill_s,
             .encode_s = encode_s,
             .wire_s = wire_s,
             .exposed_s = exposed_s,
             .decode_s = decode_s,
             .first_step_s = first_step_s,
             .raw_bytes = static_cast<double>(raw_bytes),
             .wire_bytes = static_cast<double>(wire_bytes),
             .link_bytes = static_cast<double>(link_bytes),
             .link_busy_s = link_busy_s,
             .tpot_s = tpot_s().value_or(0),
             .output_tokens = static_cast<double>(emitted.size()),
             .mixed = mixed};
  if (link_bytes > 0) {
    // A sender counts bytes as in flight until the receiver has decoded them.
    const double own = std::min(1.0, m.wire_bytes / m.link_bytes);
    m.link_busy_s = std::max(link_busy_s - own * decode_s, 0.25 * link_busy_s);
  }
  if (first_token) m.ttft_s = seconds(*first_token - decided);
  return m;
}

LegStats Session::stats() const {
  LegStats s;
  s.prefill_node = prefill;
  s.decode_node = decode;
  s.profile = colocated ? std::string("none") : profile;
  s.kv_raw_bytes = raw_bytes;
  s.kv_wire_bytes = wire_bytes;
  if (const auto t = ttft_s()) s.ttft = from_seconds(*t);
  if (const auto t = tpot_s()) s.tpot = from_seconds(*t);
  if (predicted_ttft_s > 0) s.predicted_ttft = from_seconds(predicted_ttft_s + features.waited_s);
  s.stages.queue = from_seconds(features.waited_s + node_queue_s);
  s.stages.prefill = from_seconds(prefill_s);
  s.stages.encode = from_seconds(encode_s);
  s.stages.wire = from_seconds(wire_s);
  s.stages.decode = from_seconds(decode_s);
  s.kl = colocated ? 0.0 : kl;
  s.extra["choice"] = name(reason);
  s.extra["mode"] = colocated ? "colocated" : "split";
  s.extra["exposed_ms"] = exposed_s * 1e3;
  if (change) s.extra["changed_to"] = change->to;
  if (resumes > 0) s.extra["resumes"] = resumes;
  return s;
}

}  // namespace sluice::coordinator
