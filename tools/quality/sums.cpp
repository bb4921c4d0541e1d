#include "tools/quality/sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace sluice::quality {
namespace {

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Of the mean of `by_window`; windows are independent, tokens in one are not.
double standard_error(const std::vector<double>& by_window) {
  if (by_window.size() < 2) return 0;
  const double m = mean(by_window);
  double squares = 0;
  for (const double x : by_window) squares += (x - m) * (x - m);
  const auto n = static_cast<double>(by_window.size());
  return std::sqrt(squares / (n - 1) / n);
}

/// 95% interval of the mean of `by_window`, resampling windows. Seeded: the same figures give the same interval.
Interval bootstrap(const std::vector<double>& by_window) {
  std::mt19937_64 gen(1);
  std::uniform_int_distribution<std::size_t> pick(0, by_window.size() - 1);
  std::vector<double> means(1000);
  for (double& m : means) {
    for (std::size_t i = 0; i < by_window.size(); ++i) m += by_window[pick(gen)];
    m /= static_cast<double>(by_window.size());
  }
  std::ranges::sort(means);
  return {means[25], means[974]};
}

}  // namespace

double log_offset(std::span<const float> logits) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  return top + std::log(sum);
}

std::size_t argmax(std::span<const float> v) {
  return static_cast<std::size_t>(std::ranges::max_element(v) - v.begin());
}

TokenFigures compare(std::span<const float> reference, double reference_offset, std::size_t reference_top,
                     std::span<const float> own, TokenId next) {
  const double offset = log_offset(own);
  double kl = 0;
  for (std::size_t v = 0; v < own.size(); ++v) {
    const double r = reference[v] - reference_offset;
    kl += std::exp(r) * (r - (own[v] - offset));
  }
  return {.kl = std::max(kl, 0.0),
          .nll = offset - own[static_cast<std::size_t>(next)],
          .same_top = argmax(own) == reference_top};
}

Score finish(Sums& s, double reference_nll) {
  const auto n = static_cast<double>(s.kl.size());
  std::ranges::sort(s.kl);
  auto& ratios = s.damage.segment_ratios;
  std::ranges::sort(ratios);
  return {.ratio = static_cast<double>(s.damage.raw_bytes) / static_cast<double>(s.damage.wire_bytes),
          .ratio_p50 = ratios[ratios.size() / 2],
          .ratio_worst = ratios.front(),
          .key_error = s.damage.worst(false),
          .value_error = s.damage.worst(true),
          .kl_mean = mean(s.kl),
          .kl_error = standard_error(s.kl_by_window),
          .kl_p99 = s.kl[static_cast<std::size_t>(0.99 * (n - 1))],
          .kl_first = mean(s.kl_first),
          .kl_first_error = standard_error(s.kl_first),
          .top1 = mean(s.same_top),
          .top1_95 = bootstrap(s.same_top),
          .perplexity_change = std::exp((s.nll - reference_nll) / n) - 1};
}

}  // namespace sluice::quality
