#include "coordinator/decision_log.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

/// What became of a leg that no node was chosen for.
std::string_view unplaced_reason(const Session& s) { return s.error ? "refused" : "cancelled"; }

json error_json(const std::optional<Error>& e) {
  return e ? json{{"code", name(e->code)}, {"message", e->message}} : json(nullptr);
}

}  // namespace

void DecisionLog::record(const Session& s, std::string_view outcome, double now_unix_s) {
  const bool placed = s.placement > 0;
  auto ms = [](std::optional<double> v) { return v ? json(*v * 1e3) : json(nullptr); };
  json e{{"seq", next_++},
         {"time", now_unix_s},
         {"request_id", s.spec.request_id},
         {"choice_index", s.spec.choice},
         {"prefill_node", placed ? json(s.prefill.value()) : json(nullptr)},
         {"decode_node", placed ? json(s.decode.value()) : json(nullptr)},
         {"mode", s.colocated ? "colocated" : "split"},
         {"profile", !placed ? json(nullptr) : json(s.colocated ? "none" : s.profile)},
         {"reason", placed ? name(s.reason) : unplaced_reason(s)},
         {"error", error_json(s.error)},
         {"considered", s.considered},
         {"prompt_tokens", s.features.prompt_tokens},
         {"output_tokens", s.emitted.size()},
         {"kv_raw_bytes", s.raw_bytes},
         {"kv_wire_bytes", s.wire_bytes},
         {"predicted_ttft_ms",
          s.predicted_ttft_s > 0 ? json((s.predicted_ttft_s + s.features.waited_s) * 1e3) : json(nullptr)},
         {"ttft_ms", ms(s.ttft_s())},
         {"predicted_tpot_ms", s.predicted_tpot_s > 0 ? json(s.predicted_tpot_s * 1e3) : json(nullptr)},
         {"tpot_ms", ms(s.tpot_s())},
         {"slo_ttft_ms", s.features.ttft_slo_s * 1e3},
         {"slo_tpot_ms", s.features.tpot_slo_s * 1e3},
         {"resumes", s.resumes},
         {"outcome", outcome}};
  ring_.push_back(std::move(e));
  if (ring_.size() > capacity_) ring_.pop_front();
}

nlohmann::json DecisionLog::since(std::uint64_t after, std::size_t limit) const {
  nlohmann::json out = nlohmann::json::array();
  const std::uint64_t oldest = next_ - ring_.size();
  std::size_t i = after >= oldest ? static_cast<std::size_t>(after - oldest + 1) : 0;
  if (ring_.size() > limit) i = std::max(i, ring_.size() - limit);
  for (; i < ring_.size(); ++i) out.push_back(ring_[i]);
  return out;
}

}  // namespace sluice::coordinator
