#include "coordinator/policy/role_balance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr double kTrialS = 60;        // after a change, before its use is judged
constexpr double kUse = 0.02;         // share of requests that must meet their objectives more
constexpr double kUselessPrice = 4;   // factor on the price of a change that was of no use
constexpr double kMostUseless = 4;    // such changes in a row that count
constexpr double kOutputWeight = 32;  // outputs that the mean remembers
constexpr double kTpotMargin = 0.95;
constexpr double kNearLimit = 1.25;  // a side that carries no more than so many times the load is near its limit
constexpr double kLeastPrice = 0.2;  // of the load, for as long as a change takes

/// The mean of what nodes are, times how many there shall be.
template <class T, class F>
double scaled_sum(const std::vector<T>& nodes, std::size_t count, F&& of) {
  if (nodes.empty()) return 0;
  double sum = 0;
  for (const T& n : nodes) sum += of(n);
  return sum / static_cast<double>(nodes.size()) * static_cast<double>(count);
}

/// The highest rate at which no larger share of requests than `late` waits longer than `slack_s` for one of `c` servers
/// that together serve `rate`: the tail of an M/G/c queue by Sakasegawa's chance to wait and an exponential of its
/// mean.
double rate_within(double rate, double c, double scv, double slack_s, double late) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 30; ++i) {
    const double rho = 0.5 * (low + high);
    const double waits = std::pow(rho, std::sqrt(2 * (c + 1)) - 1);
    const double decay = 2 * (1 - rho) * rate / (1 + scv);
    (waits * std::exp(-decay * slack_s) > late ? high : low) = rho;
  }
  return low * rate;
}

/// Requests per second that one decode node gets done with as many at a time as it may have.
double decode_rate(const DecodeRole& d, double output_tokens, double tpot_slo_s) {
  const double by_time = d.seq_s > 0 ? (kTpotMargin * tpot_slo_s - d.step_s) / d.seq_s : 1e6;
  const double most = std::max(1.0, std::min(by_time, d.most_seqs));
  // As many places as there are cannot always be taken: a few stay free for the swings of a Poisson load.
  const double seqs = std::max(0.5 * most, most - std::sqrt(most));
  return seqs / (std::max(output_tokens, 1.0) * (d.step_s + d.seq_s * seqs));
}

}  // namespace

double SplitForecast::goodput(double offered) const {
  constexpr double kCollapse = 3;
  const double most = std::min(prefill_rate, decode_rate);
  return offered <= most ? offered : most * std::pow(most / offered, kCollapse);
}

void RoleBalance::fade(TimePoint now) {
  if (faded_ == TimePoint{}) faded_ = first_ = now;
  const double keep = std::exp(-seconds(now - faded_) / kMemoryS);
  faded_ = now;
  for (double* sum : {&requests_, &prompts_, &prompts2_, &ends_, &met_}) *sum *= keep;
}

void RoleBalance::arrived(double prompt_tokens, TimePoint now) {
  fade(now);
  ++requests_;
  prompts_ += prompt_tokens;
  prompts2_ += prompt_tokens * prompt_tokens;
}

void RoleBalance::ended(double output_tokens, bool met, TimePoint now) {
  fade(now);
  ++ends_;
  met_ += met ? 1 : 0;
  if (output_tokens <= 0) return;
  outputs_seen_ = std::min(outputs_seen_ + 1, kOutputWeight);
  output_ += (output_tokens - output_) / outputs_seen_;
  output2_ += (output_tokens * output_tokens - output2_) / outputs_seen_;
}

OfferedLoad RoleBalance::load(TimePoint now) const {
  OfferedLoad l;
  if (faded_ == TimePoint{} || requests_ <= 0) return l;
  const double keep = std::exp(-seconds(now - faded_) / kMemoryS);
  // What a sum that began lately has not had the time to see.
  const double seen = 1 - std::exp(-std::max(seconds(now - first_), 1.0) / kMemoryS);
  l.rate = requests_ * keep / (kMemoryS * seen) / share_;
  l.prompt_tokens = prompts_ / requests_;
  l.output_tokens = output_;
  if (output_ > 0) l.output_scv = std::max(0.0, output2_ / (output_ * output_) - 1);
  l.prompt_scv = std::max(0.0, prompts2_ / requests_ / (l.prompt_tokens * l.prompt_tokens) - 1);
  l.met = ends_ > 0 ? met_ / ends_ : 1;
  return l;
}

SplitForecast RoleBalance::forecast(const RoleView& v, const OfferedLoad& l, std::size_t prefills,
                                    std::size_t decodes) {
  SplitForecast f{.prefills = prefills, .decodes = decodes};
  const double per_s = scaled_sum(v.prefills, prefills, [](const PrefillRole& p) { return 1 / p.prompt_s; });
  if (per_s > 0) {
    const double prompt_s = static_cast<double>(prefills) / per_s;
    const double slack_s = std::max(v.ttft_slo_s - prompt_s, 0.1 * v.ttft_slo_s);
    f.prefill_rate =
        rate_within(per_s, static_cast<double>(prefills), l.prompt_scv, slack_s, std::max(1 - v.attainment, 0.05));
  }
  f.decode_rate = scaled_sum(v.decodes, decodes,
                             [&](const DecodeRole& d) { return decode_rate(d, l.output_tokens, v.tpot_slo_s); });
  return f;
}

/// Where requests miss their objectives while a side is forecast to be near its limit, that side is beyond it:
/// forecasts are not exact, and past the limit a little makes all the difference.
SplitForecast RoleBalance::corrected(SplitForecast f, const SplitForecast& now, const OfferedLoad& l,
                                     double attainment) {
  const double least = std::min(now.prefill_rate, now.decode_rate);
  const bool misses = l.met < attainment - 0.2;
  if (!misses || least < l.rate || least > kNearLimit * l.rate) return f;
  (now.decode_rate < now.prefill_rate ? f.decode_rate : f.prefill_rate) *= 0.9 * l.rate / least;
  return f;
}

double RoleBalance::useless(PoolRole to, TimePoint now) const {
  const Ways& w = ways_[static_cast<std::size_t>(to)];
  return w.useless <= 0 ? 0 : w.useless * std::exp2(-seconds(now - w.since) / o_.forget_s);
}

double RoleBalance::price(const RoleView& v, const OfferedLoad& l, PoolRole to, TimePoint now) const {
  const std::size_t p = v.prefills.size();
  const std::size_t d = v.decodes.size();
  const double here = forecast(v, l, p, d).goodput(l.rate);
  const bool takes_prefill = to == PoolRole::decode;
  const double without = forecast(v, l, p - (takes_prefill ? 1 : 0), d - (takes_prefill ? 0 : 1)).goodput(l.rate);
  return std::max(here - without, kLeastPrice * l.rate) * change_s_ * std::pow(kUselessPrice, useless(to, now));
}

std::string RoleBalance::rests(PoolRole to, TimePoint now) const {
  if (under_way_) return "a change is under way";
  if (done_ != TimePoint{} && seconds(now - done_) < o_.rest_s) return "the last change is not long ago";
  if (last_to_ && *last_to_ != to && seconds(now - done_) < o_.reversal_s) return "it would undo the last change";
  const auto lately = std::ranges::count_if(changes_, [&](TimePoint t) { return seconds(now - t) < o_.window_s; });
  if (static_cast<std::size_t>(lately) >= o_.most_changes) return "there were many changes lately";
  return {};
}

/// Whether more requests meet their objectives since the last change than before it.
void RoleBalance::judge(TimePoint now) {
  if (!trial_ || now < trial_->judged_at) return;
  Ways& w = ways_[static_cast<std::size_t>(trial_->to)];
  const double helped = load(now).met - trial_->met;
  w.useless = helped < kUse && trial_->met < 1 - kUse ? std::min(useless(trial_->to, now) + 1, kMostUseless)
                                                      : std::max(useless(trial_->to, now) - 1, 0.0);
  w.since = now;
  trial_.reset();
}

std::optional<RoleChange> RoleBalance::look(const RoleView& v, TimePoint now) {
  const double passed = looked_ == TimePoint{} ? 0 : std::clamp(seconds(now - looked_), 0.0, 5.0);
  looked_ = now;
  judge(now);
  const OfferedLoad l = load(now);
  outlook_ = {.load = l};
  const std::size_t p = v.prefills.size();
  const std::size_t d = v.decodes.size();
  if (p == 0 || d == 0 || requests_ < kLeastSeen || l.output_tokens <= 0) {
    wanted_.reset();
    owed_ = 0;
    return std::nullopt;
  }
  const SplitForecast plain = forecast(v, l, p, d);
  const auto split = [&](std::size_t prefills, std::size_t decodes) {
    return corrected(forecast(v, l, prefills, decodes), plain, l, v.attainment);
  };
  outlook_.now = split(p, d);
  const double here = outlook_.now.goodput(l.rate);
  std::optional<PoolRole> to;
  SplitForecast best;
  for (const PoolRole role : {PoolRole::decode, PoolRole::prefill}) {
    const bool able = role == PoolRole::decode ? p > 1 && std::ranges::any_of(v.prefills, &PrefillRole::able)
                                               : d > 1 && std::ranges::any_of(v.decodes, &DecodeRole::able);
    if (!able) continue;
    const SplitForecast f = role == PoolRole::decode ? split(p - 1, d + 1) : split(p + 1, d - 1);
    if (f.goodput(l.rate) < (1 + o_.least_gain) * here) continue;
    if (to && f.goodput(l.rate) <= best.goodput(l.rate)) continue;
    to = role;
    best = f;
  }
  if (to != wanted_) {
    wanted_ = to;
    wanted_since_ = now;
    owed_ = 0;
  }
  if (!to) return std::nullopt;
  owed_ += (best.goodput(l.rate) - here) * passed;
  outlook_.better = best;
  outlook_.owed = owed_;
  outlook_.price = price(v, l, *to, now);
  outlook_.waits_for = rests(*to, now);
  if (!outlook_.waits_for.empty()) return std::nullopt;
  if (seconds(now - wanted_since_) < o_.hold_s || owed_ < outlook_.price) {
    outlook_.waits_for = "it has not been better for long enough";
    return std::nullopt;
  }
  RoleChange c{.to = *to,
               .why = fmt::format("{} prefill and {} decode nodes carry {:.3g} of {:.3g} requests/s, {} and {} would "
                                  "carry {:.3g}",
                                  p, d, here, l.rate, best.prefills, best.decodes, best.goodput(l.rate))};
  // The one with the least to do: it is there again the soonest.
  if (*to == PoolRole::decode) {
    const PrefillRole* least = nullptr;
    for (const PrefillRole& n : v.prefills)
      if (n.able && (least == nullptr || n.queued_tokens < least->queued_tokens)) least = &n;
    c.node = least->node;
  } else {
    const DecodeRole* least = nullptr;
    for (const DecodeRole& n : v.decodes)
      if (n.able && (least == nullptr || n.seqs < least->seqs)) least = &n;
    c.node = least->node;
  }
  return c;
}

void RoleBalance::began(PoolRole to, TimePoint now) {
  under_way_ = last_to_ = to;
  began_ = now;
  changes_.push_back(now);
  while (changes_.size() > o_.most_changes) changes_.pop_front();
  trial_ = Trial{to, load(now).met, TimePoint::max()};
  wanted_.reset();
  owed_ = 0;
}

void RoleBalance::done(bool well, TimePoint now) {
  if (!under_way_) return;
  under_way_.reset();
  done_ = now;
  // One that failed took at least as long, and says nothing of use.
  const double took = seconds(now - began_);
  if (well) {
    change_s_ = timed_ ? change_s_ + 0.5 * (took - change_s_) : took;
    timed_ = true;
    if (trial_) trial_->judged_at = now + from_seconds(kTrialS);
  } else {
    change_s_ = std::max(change_s_, took);
    trial_.reset();
  }
}

}  // namespace sluice::coordinator
