#include "coordinator/serving/session.h"

#include <algorithm>

#include "coordinator/serving/answer_bits.h"

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

std::string_view Session::mode() const noexcept {
  if (run.local || (run.number == 0 && asked.features.cut == 0U)) return "colocated";
  return run.number == 0 || split() ? "split" : "cut";
}

RequestFeatures Session::asks_now(const OutputLengths& lengths) const {
  RequestFeatures out = asked.features;
  out.emitted = static_cast<std::uint32_t>(answer.emitted.size());
  out.stay = expected_stay(lengths, out.emitted, out.max_new_tokens);
  out.whole = !grows();
  return out;
}

std::optional<double> Session::ttft_s() const {
  if (!answer.first_token) return std::nullopt;
  return seconds(*answer.first_token - asked.spec.received);
}

std::optional<double> Session::tpot_s() const {
  if (!answer.first_token || answer.emitted.size() < 2) return std::nullopt;
  return seconds(answer.last_token - *answer.first_token) / static_cast<double>(answer.emitted.size() - 1);
}

bool Session::met_ttft() const {
  const auto ttft = ttft_s();
  return ttft && *ttft <= asked.features.ttft_slo_s;
}

bool Session::met_tpot() const { return tpot_s().value_or(0) <= asked.features.tpot_slo_s; }

Measured Session::measured() const {
  Measured m{.queue_s = seen.node_queue_s,
             .compute_s = seen.prefill_s,
             .had_tokens = static_cast<double>(seen.cached_tokens),
             .encode_s = seen.encode_s,
             .wire_s = seen.wire_s,
             .exposed_s = seen.exposed_s,
             .decode_s = seen.decode_s,
             .first_step_s = seen.first_step_s,
             .raw_bytes = static_cast<double>(seen.raw_bytes),
             .wire_bytes = static_cast<double>(seen.wire_bytes),
             .link_bytes = static_cast<double>(seen.link_bytes),
             .link_busy_s = seen.link_busy_s,
             .tpot_s = tpot_s().value_or(0),
             .output_tokens = static_cast<double>(answer.emitted.size()),
             .local_queue_s = seen.local_queue_s,
             .local_s = seen.local_s,
             .mixed = seen.mixed};
  if (seen.link_bytes > 0) {
    // A sender counts bytes as in flight until the receiver has decoded them.
    const double own = std::min(1.0, m.wire_bytes / m.link_bytes);
    m.link_busy_s = std::max(seen.link_busy_s - own * seen.decode_s, 0.25 * seen.link_busy_s);
  }
  if (answer.first_token) m.ttft_s = seconds(*answer.first_token - run.decided);
  return m;
}

LegStats Session::stats() const {
  LegStats out;
  out.prefill_node = run.prefill;
  out.decode_node = run.decode;
  out.profile = shown_profile();
  out.kv_raw_bytes = seen.raw_bytes;
  out.kv_wire_bytes = seen.wire_bytes;
  out.cached_tokens = run.local ? 0 : static_cast<int>(seen.spared_tokens.value_or(0));
  if (const auto t = ttft_s()) out.ttft = from_seconds(*t);
  if (const auto t = tpot_s()) out.tpot = from_seconds(*t);
  if (run.predicted_ttft_s > 0) out.predicted_ttft = from_seconds(run.predicted_ttft_s + asked.features.waited_s);
  out.stages.queue = from_seconds(asked.features.waited_s + seen.node_queue_s);
  out.stages.prefill = from_seconds(seen.prefill_s);
  out.stages.encode = from_seconds(seen.encode_s);
  out.stages.wire = from_seconds(seen.wire_s);
  out.stages.decode = from_seconds(seen.decode_s);
  out.kl = run.local ? 0.0 : run.kl;
  if (asked.spec.explained) explain(out);
  return out;
}

void Session::explain(LegStats& out) const {
  out.extra["choice"] = name(run.reason);
  out.extra["mode"] = mode();
  if (run.local) out.extra["prefill_node"] = nullptr;
  if (run.number > 0) out.extra["cut"] = run.cut;
  if (seen.local_tokens > 0) {
    out.extra["local_tokens"] = seen.local_tokens;
    out.extra["local_queue_ms"] = seen.local_queue_s * 1e3;
    out.extra["local_compute_ms"] = seen.local_s * 1e3;
  }
  if (seen.cached_tokens > 0 || run.chosen.had > 0)
    out.extra["cached"] = {
        {"tokens", seen.cached_tokens}, {"expected_tokens", run.chosen.had}, {"saved_ms", run.chosen.saved_s * 1e3}};
  out.extra["exposed_ms"] = seen.exposed_s * 1e3;
  if (asked.bound()) out.extra["grammar_bytes"] = asked.spec.sampling.grammar.value().size();
  if (answer.change) out.extra["changed_to"] = answer.change->to;
  if (answer.first_token) out.extra["bits"] = answer_bits(*this);
  out.fingerprint = answer_fingerprint(*this);
  if (answer.resumes > 0) out.extra["resumes"] = answer.resumes;
  if (seen.swapped + seen.recomputed > 0 || answer.returns > 0)
    out.extra["preempted"] = {{"swap", seen.swapped},
                              {"recompute", seen.recomputed},
                              {"return", answer.returns},
                              {"parked_ms", seen.parked_s * 1e3}};
  if (!moves.over.empty()) out.extra["moves"] = moves_json(moves.over);
}

nlohmann::json moves_json(const std::vector<MoveRecord>& moves) {
  nlohmann::json out = nlohmann::json::array();
  for (const MoveRecord& r : moves) {
    nlohmann::json& m = out.emplace_back(nlohmann::json{{"from", r.from.value()},
                                                        {"to", r.to.value()},
                                                        {"reason", name(r.reason)},
                                                        {"output_tokens", r.tokens},
                                                        {"stall_ms", r.stall_s * 1e3},
                                                        {"halt_ms", r.parts.halt_s * 1e3},
                                                        {"kv_ms", r.parts.kv_s * 1e3},
                                                        {"first_ms", r.parts.first_s * 1e3},
                                                        {"wall_ms", r.wall_s * 1e3}});
    if (r.last_block_s) m["last_block_ms"] = *r.last_block_s * 1e3;
  }
  return out;
}

}  // namespace sluice::coordinator
