#include "coordinator/serving/decision_log.h"

#include <algorithm>
#include <chrono>

namespace sluice::coordinator {

using nlohmann::json;

double unix_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void DecisionLog::record(const Session& s, std::string_view outcome, double now_unix_s) {
  totals_.add(s, outcome);
  // One prompt token has nothing to compute elsewhere, and a cut prompt is neither.
  const bool whole = s.run.local || s.split();
  if (s.answer.first_token && s.undisturbed() && whole && s.asked.features.split_cut() > 0)
    pd_worth_.add(!s.run.local, s.asked.features.prompt_tokens, seconds(*s.answer.first_token - s.run.decided),
                  s.tpot_s().value_or(0));
  push(DecisionEntry::of(s, outcome, now_unix_s));
}

void DecisionLog::record_change(json change, double now_unix_s) {
  change["seq"] = next_;
  change["time"] = now_unix_s;
  push(std::move(change));
}

void DecisionLog::push(Entry entry) {
  ++next_;
  ring_.push_back(std::move(entry));
  if (ring_.size() > capacity_) ring_.pop_front();
}

RecentRequests DecisionLog::recent(const std::string& slo_class) const {
  RecentRequests out;
  std::vector<double> prompts;
  std::vector<double> outputs;
  for (const Entry& any : ring_) {
    const auto* e = std::get_if<DecisionEntry>(&any);
    if (e == nullptr || e->slo_class != slo_class || !e->ttft_s) continue;
    ++out.finished;
    out.met += *e->ttft_s <= e->ttft_slo_s && e->tpot_s.value_or(0) <= e->tpot_slo_s ? 1U : 0U;
    prompts.push_back(e->prompt_tokens);
    outputs.push_back(static_cast<double>(e->output_tokens));
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
  for (; i < ring_.size(); ++i) {
    const auto* e = std::get_if<DecisionEntry>(&ring_[i]);
    out.push_back(e != nullptr ? to_json(*e, oldest + i) : std::get<json>(ring_[i]));
  }
  return out;
}

}  // namespace sluice::coordinator
