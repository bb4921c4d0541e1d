#include "coordinator/policy/profile_controller.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

/// How bad a candidate is: TTFT relative to its SLO, plus what TPOT overshoots. Below 1 both are met.
double cost(const Candidate& c, const RequestFeatures& r) {
  const double ttft = (c.predicted_ttft_s + r.waited_s) / std::max(r.ttft_slo_s, 1e-6);
  const double tpot = c.predicted_tpot_s / std::max(r.tpot_slo_s, 1e-9);
  return ttft + std::max(0.0, tpot - 1.0) * 10.0;
}

bool meets(const Candidate& c, const RequestFeatures& r) {
  return c.predicted_ttft_s + r.waited_s <= r.ttft_slo_s && c.predicted_tpot_s <= r.tpot_slo_s;
}

std::uint64_t fnv(std::uint64_t h, std::string_view s) {
  for (const char ch : s) h = (h ^ static_cast<unsigned char>(ch)) * 0x100000001b3ULL;
  return (h ^ 0xffU) * 0x100000001b3ULL;
}

}  // namespace

std::string_view name(ChoiceReason r) noexcept {
  switch (r) {
    case ChoiceReason::best:
      return "best";
    case ChoiceReason::explore:
      return "explore";
    case ChoiceReason::only:
      return "only";
    case ChoiceReason::cooled_fallback:
      return "cooled_fallback";
  }
  return "best";
}

std::uint64_t ProfileController::arm_key(const NodeId& p, const NodeId& d, const std::string& profile) {
  return fnv(fnv(fnv(0xcbf29ce484222325ULL, p.value()), d.value()), profile);
}

double ProfileController::corrected(std::uint64_t arm, double model_ttft_s) const {
  const auto it = arms_.find(arm);
  return it == arms_.end() ? model_ttft_s : model_ttft_s * std::exp(it->second.log_residual);
}

const ProfileController::ArmState* ProfileController::arm(std::uint64_t key) const {
  const auto it = arms_.find(key);
  return it == arms_.end() ? nullptr : &it->second;
}

bool ProfileController::cooled(std::uint64_t arm, TimePoint now) const {
  const auto it = arms_.find(arm);
  return it != arms_.end() && it->second.cooled_until > now;
}

Choice ProfileController::choose(std::span<const Candidate> candidates, const RequestFeatures& r, TimePoint now) {
  if (candidates.size() == 1) return {0, ChoiceReason::only};
  open_.clear();
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (!cooled(candidates[i].arm, now)) open_.push_back(i);
  ChoiceReason reason = ChoiceReason::best;
  if (open_.empty()) {
    // Everything rests: serving slowly beats refusing, so the least bad arm goes on.
    for (std::size_t i = 0; i < candidates.size(); ++i) open_.push_back(i);
    reason = ChoiceReason::cooled_fallback;
  }
  if (reason == ChoiceReason::best && std::uniform_real_distribution<>(0, 1)(rng_) < options_.epsilon) {
    auto safe = std::vector<std::size_t>();
    std::ranges::copy_if(open_, std::back_inserter(safe), [&](std::size_t i) { return meets(candidates[i], r); });
    if (safe.size() > 1) return {safe[rng_() % safe.size()], ChoiceReason::explore};
  }
  std::size_t best = open_.front();
  double best_cost = cost(candidates[best], r);
  for (const std::size_t i : open_) best_cost = std::min(best_cost, cost(candidates[i], r));
  double best_kl = INFINITY;
  double chosen_cost = INFINITY;
  for (const std::size_t i : open_) {
    const double c = cost(candidates[i], r);
    if (c > best_cost * (1 + kTieShare)) continue;
    if (candidates[i].kl < best_kl || (candidates[i].kl == best_kl && c < chosen_cost)) {
      best = i;
      best_kl = candidates[i].kl;
      chosen_cost = c;
    }
  }
  return {best, reason};
}

void ProfileController::observe(std::uint64_t arm, double model_ttft_s, double ttft_s, bool met_slo, TimePoint now) {
  if (!(model_ttft_s > 0) || !(ttft_s > 0)) return;
  ArmState& a = arms_[arm];
  // One outlier (a page fault storm, a stopped process) must not move an arm by more than a factor of e^2.
  const double seen = std::clamp(std::log(ttft_s / model_ttft_s), a.log_residual - 2.0, a.log_residual + 2.0);
  a.log_residual = a.count == 0 ? seen : a.log_residual + options_.eta * (seen - a.log_residual);
  ++a.count;
  a.misses = met_slo ? 0 : a.misses + 1;
  if (a.misses >= kMissesToCool) {
    a.cooled_until = now + from_seconds(options_.cooldown_s);
    a.misses = 0;
  }
}

void ProfileController::observe_failure(std::uint64_t arm, TimePoint now) {
  arms_[arm].cooled_until = now + from_seconds(options_.cooldown_s);
}

}  // namespace sluice::coordinator
