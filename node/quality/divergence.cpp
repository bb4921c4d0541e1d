#include "node/quality/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sluice::node {
namespace {

/// A token that q holds impossible costs no more than this.
constexpr double kLeastProbability = 1e-30;

TokenId likeliest(std::span<const float> logits) {
  return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
}

TokenId likeliest(const kv::HeadDistribution& h) {
  return std::ranges::max_element(h.top, {}, &kv::HeadDistribution::Entry::logprob)->id;
}

}  // namespace

Result<double> log_sum_exp(std::span<const float> logits) {
  float most = -std::numeric_limits<float>::infinity();
  for (const float x : logits) {
    if (std::isnan(x)) return fail(Errc::data_corrupt, "a logit is NaN");
    most = std::max(most, x);
  }
  if (!std::isfinite(most)) return fail(Errc::data_corrupt, "the logits have no finite maximum");
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - most);
  return most + std::log(sum);
}

Result<kv::HeadDistribution> head_of(std::span<const float> logits, std::size_t most) {
  SLUICE_ASSIGN(const double norm, log_sum_exp(logits));
  std::vector<TokenId> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const std::size_t n = std::min(most, ids.size());
  const auto cut = ids.begin() + static_cast<std::ptrdiff_t>(n);
  auto logit = [&](TokenId t) { return logits[static_cast<std::size_t>(t)]; };
  std::ranges::partial_sort(ids, cut,
                            [&](TokenId a, TokenId b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  kv::HeadDistribution out;
  double tail = 0;  // summed, not subtracted from 1: it may be tiny
  for (auto it = cut; it != ids.end(); ++it) tail += std::exp(logit(*it) - norm);
  out.tail = static_cast<float>(std::min(tail, 1.0));
  std::sort(ids.begin(), cut);
  // A logit of -infinity is no token of the head: its log-probability is no number.
  for (auto it = ids.begin(); it != cut; ++it)
    if (std::isfinite(logit(*it))) out.top.push_back({*it, static_cast<float>(std::min(logit(*it) - norm, 0.0))});
  return out;
}

Result<Divergence> divergence(const kv::HeadDistribution& reference, std::span<const float> logits) {
  if (reference.top.empty()) return fail(Errc::invalid_argument, "the reference is empty");
  SLUICE_ASSIGN(const double norm, log_sum_exp(logits));
  Divergence out;
  double named = 0;
  for (const auto& [id, logprob] : reference.top) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size())
      return fail(Errc::invalid_argument, "the reference names token {}, the vocabulary has {}", id, logits.size());
    const double q = std::max(logits[static_cast<std::size_t>(id)] - norm, std::log(kLeastProbability));
    named += std::exp(q);
    out.kl += std::exp(static_cast<double>(logprob)) * (logprob - q);
  }
  if (reference.tail > 0)
    out.kl += reference.tail * std::log(reference.tail / std::max(1.0 - named, kLeastProbability));
  out.kl = std::max(out.kl, 0.0);  // rounding
  out.top1 = likeliest(reference) == likeliest(logits);
  return out;
}

}  // namespace sluice::node
