#include "coordinator/serving/decision_log.h"

#include <algorithm>
#include <chrono>

namespace sluice::coordinator {
namespace {

using nlohmann::json;

/// What became of a leg that no node was chosen for.
std::string_view unplaced_reason(const Session& s) { return s.end.error ? "refused" : "cancelled"; }

/// What the model said each stage would take; stages overlap.
json predicted_stages(const StageTimes& t) {
  return {{"queue", t.queue_s * 1e3},         {"prefill", t.prefill_s * 1e3}, {"encode", t.encode_s * 1e3},
          {"wire", t.wire_s * 1e3},           {"decode", t.decode_s * 1e3},   {"first_step", t.first_s * 1e3},
          {"link_wait", t.link_wait_s * 1e3}, {"fixed", t.fixed_s * 1e3},     {"local_queue", t.local_queue_s * 1e3},
          {"local", t.local_s * 1e3}};
}

/// What the nodes measured of them; `exposed` is what of the transfer came after the computation.
json measured_stages(const Session& s) {
  return {{"queue", s.seen.node_queue_s * 1e3}, {"prefill", s.seen.prefill_s * 1e3},
          {"encode", s.seen.encode_s * 1e3},    {"wire", s.seen.wire_s * 1e3},
          {"decode", s.seen.decode_s * 1e3},    {"first_step", s.seen.first_step_s * 1e3},
          {"exposed", s.seen.exposed_s * 1e3},  {"local_queue", s.seen.local_queue_s * 1e3},
          {"local", s.seen.local_s * 1e3}};
}

json error_json(const std::optional<Error>& e) {
  return e ? json{{"code", name(e->code)}, {"message", e->message}} : json(nullptr);
}

}  // namespace

double unix_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void DecisionLog::record(const Session& s, std::string_view outcome, double now_unix_s) {
  totals_.add(s, outcome);
  // One prompt token has nothing to compute elsewhere, and a cut prompt is neither.
  const bool whole = s.run.local || s.split();
  if (s.answer.first_token && s.answer.resumes == 0 && whole && s.asked.features.split_cut() > 0)
    pd_worth_.add(!s.run.local, s.asked.features.prompt_tokens, seconds(*s.answer.first_token - s.run.decided),
                  s.tpot_s().value_or(0));
  const bool placed = s.run.number > 0;
  auto ms = [](std::optional<double> v) { return v ? json(*v * 1e3) : json(nullptr); };
  json e{
      {"seq", next_++},
      {"time", now_unix_s},
      {"request_id", s.asked.spec.request_id},
      {"tenant", s.asked.spec.tenant},
      {"choice_index", s.asked.spec.choice},
      {"prefill_node", placed && !s.run.local ? json(s.run.prefill.value()) : json(nullptr)},
      {"decode_node", placed ? json(s.run.decode.value()) : json(nullptr)},
      {"mode", s.mode()},
      {"cut", placed ? json(s.run.cut) : json(nullptr)},
      {"profile", !placed ? json(nullptr) : json(s.shown_profile())},
      {"changed_to", s.answer.change ? json(s.answer.change->to) : json(nullptr)},
      {"reason", placed ? name(s.run.reason) : unplaced_reason(s)},
      {"error", error_json(s.end.error)},
      {"considered", s.run.considered},
      {"pinned", s.asked.spec.profile.has_value()},
      {"quality_budget", s.asked.features.quality_budget},
      {"prompt_tokens", s.asked.features.prompt_tokens},
      {"output_tokens", s.answer.emitted.size()},
      {"kv_raw_bytes", s.seen.raw_bytes},
      {"kv_wire_bytes", s.seen.wire_bytes},
      {"predicted_ttft_ms",
       s.run.predicted_ttft_s > 0 ? json((s.run.predicted_ttft_s + s.asked.features.waited_s) * 1e3) : json(nullptr)},
      {"ttft_ms", ms(s.ttft_s())},
      {"predicted_tpot_ms", s.run.predicted_tpot_s > 0 ? json(s.run.predicted_tpot_s * 1e3) : json(nullptr)},
      {"tpot_ms", ms(s.tpot_s())},
      {"slo_class", s.asked.slo_class},
      {"slo_ttft_ms", s.asked.features.ttft_slo_s * 1e3},
      {"slo_tpot_ms", s.asked.features.tpot_slo_s * 1e3},
      {"resumes", s.answer.resumes},
      {"moves", s.moves_json()},
      {"outcome", outcome}};
  if (placed) {
    e["kl"] = s.run.kl;
    e["chance"] = s.run.chosen.chance;
    if (!s.run.local) e["link_bps"] = s.run.chosen.link_bps;
    e["predicted_stages_ms"] = predicted_stages(s.run.chosen.stages);
    e["stages_ms"] = measured_stages(s);
  }
  push(std::move(e));
}

void DecisionLog::record_change(json change, double now_unix_s) {
  change["seq"] = next_++;
  change["time"] = now_unix_s;
  push(std::move(change));
}

void DecisionLog::push(json entry) {
  ring_.push_back(std::move(entry));
  if (ring_.size() > capacity_) ring_.pop_front();
}

RecentRequests DecisionLog::recent(const std::string& slo_class) const {
  RecentRequests out;
  std::vector<double> prompts;
  std::vector<double> outputs;
  for (const json& e : ring_) {
    if (e.contains("event") || e["slo_class"] != slo_class || !e["ttft_ms"].is_number()) continue;
    ++out.finished;
    const double tpot = e["tpot_ms"].is_number() ? e["tpot_ms"].get<double>() : 0;
    out.met += e["ttft_ms"] <= e["slo_ttft_ms"] && tpot <= e["slo_tpot_ms"].get<double>() ? 1U : 0U;
    prompts.push_back(e["prompt_tokens"].get<double>());
    outputs.push_back(e["output_tokens"].get<double>());
  }
  auto median = [](std::vector<double>& v) {
    if (v.empty()) return 0.0;
    const auto mid = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
    std::nth_element(v.begin(), mid, v.end());
    return *mid;
  };
  out.prompt_tokens = median(prompts);
  out.output_tokens = median(outputs);
  return out;
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
