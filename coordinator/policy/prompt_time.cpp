#include "coordinator/policy/prompt_time.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "coordinator/policy/estimate.h"

namespace sluice::coordinator {
namespace {

constexpr double kDiscount = 0.99;           // of the shape, per sample
constexpr double kClip = 1;                  // standard deviations of noise that a sample moves the shape by
constexpr double kPromptNoiseWeight = 0.03;  // of one prompt, in how far times of one size differ
constexpr double kFreshS = 10;               // with a sample this young a report is no news
constexpr double kStaleS = 10;               // the moment's factor is of another moment by then
constexpr double kReportFactor = 1.5;
constexpr double kLeastShare = 0.05;  // of the reported time: a fit far from its samples must not promise nothing

float median(std::span<const float> values) {
  std::array<float, PromptTime::kWindow> v;
  const auto end = std::ranges::copy(values, v.begin()).out;
  std::sort(v.begin(), end);
  const std::size_t n = values.size();
  return 0.5F * (v[(n - 1) / 2] + v[n / 2]);
}

}  // namespace

PromptTime::Terms PromptTime::terms(double tokens) {
  const double k = tokens * 1e-3;
  return {1, k, k * k};
}

PromptTime::Terms PromptTime::terms(double from, double to) {
  Terms t = terms(to);
  const Terms before = terms(from);
  for (std::size_t i = 1; i < t.size(); ++i) t[i] -= before[i];
  return t;
}

void PromptTime::set_prior(const Terms& mean, double slope) {
  shape_.set_prior(mean, {0.002 + 0.02 * slope, 0.5 * slope, 0.3 * slope});
}

void PromptTime::forget_moment() {
  known_ = 0;
  factor_ = 1;
}

void PromptTime::report(double tokens_per_s, TimePoint now) {
  if (tokens_per_s == rate_) return;
  const double before = rate_;
  rate_ = tokens_per_s;
  if (!learned()) return set_prior({0, 1000 / rate_, 0}, 1000 / rate_);
  // After a restart the first report has none before it.
  if (before == 0 || std::abs(std::log(rate_ / before)) < std::log(kReportFactor)) return;
  if (seconds(now - learned_) < kFreshS) return;
  shape_.scale(before / rate_);
  forget_moment();
}

double PromptTime::predict(const Terms& t) const {
  const double least = rate_ > 0 ? kLeastShare * 1000 * t[1] / rate_ : 0;
  return factor_ * std::max(least, shape_.predict(t));
}

bool PromptTime::observe(const Terms& t, double took_s, TimePoint now) {
  if (learned() && seconds(now - learned_) > kStaleS) forget_moment();
  const double expected = predict(t);
  if (!ready() || !(took_s > 0) || !(expected > 0)) return false;
  const double cold = learned() ? 1 : Estimate::kColdNoise;
  const double of_shape = took_s / factor_;
  shape_.settle(t, of_shape, (noise_ * std::pow(expected / factor_, 2) + 1e-7) * cold, kDiscount, kClip);
  if (learned()) {
    const double share = std::pow(took_s / expected - 1, 2);
    noise_ = std::clamp(noise_ + kPromptNoiseWeight * (std::min(share, 9 * noise_) - noise_), 0.0025, 0.1);
  }
  learned_ = now;
  // After the shape has learned, so that a first guess that was far off is not blamed on the moment.
  return update_moment(std::log(took_s / (predict(t) / factor_)));
}

bool PromptTime::update_moment(double log_ratio) {
  if (known_ == kWindow) std::shift_left(ratios_.begin(), ratios_.end(), 1);
  known_ = std::min<std::uint32_t>(known_ + 1, kWindow);
  ratios_[known_ - 1] = static_cast<float>(log_ratio);
  const std::span all(ratios_.data(), known_);
  float middle = median(all);
  const auto news = static_cast<float>(std::log(kNewsFactor));
  const auto last = all.last(std::min<std::size_t>(kNews, known_));
  const bool changed = known_ > kNews && (std::ranges::all_of(last, [&](float r) { return r > middle + news; }) ||
                                          std::ranges::all_of(last, [&](float r) { return r < middle - news; }));
  if (changed) {
    std::ranges::copy(last, ratios_.begin());
    known_ = kNews;
    middle = median(std::span(ratios_.data(), known_));
  }
  factor_ = known_ < kNews ? 1 : std::exp(middle);
  return changed;
}

void PromptTime::doubt() {
  if (shape_.ready()) shape_.reset_covariance();
  forget_moment();
}

PromptTime::Terms PromptTime::weights() const {
  Terms w = shape_.mean();
  for (double& x : w) x *= factor_;
  return w;
}

void PromptTime::restore(const Terms& weights, double doubt, TimePoint now) {
  set_prior(weights, std::abs(weights[1]));
  shape_.restore(weights, doubt);
  forget_moment();
  learned_ = now;
}

}  // namespace sluice::coordinator
