#include "engine/policy/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice::engine {

Result<> check_logits(std::span<const float> logits) {
  const bool usable = std::ranges::all_of(logits, [](float v) { return v < std::numeric_limits<float>::infinity(); });
  if (!usable) return fail(Errc::data_corrupt, "the model's logits hold NaN or infinity");
  return {};
}

LogSoftmax::LogSoftmax(std::span<const float> logits) : logits_(logits) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v) - top);
  log_sum_ = top + std::log(sum);
}

std::vector<TokenLogprob> LogSoftmax::top(std::size_t n) const {
  std::vector<TokenId> best;
  if (n == 0) return {};
  const auto logit = [this](TokenId t) { return logits_[static_cast<std::size_t>(t)]; };
  for (TokenId t = 0; static_cast<std::size_t>(t) < logits_.size(); ++t) {
    if (best.size() == n) {
      if (logit(t) <= logit(best.back())) continue;  // of equal ones the lower id came first
      best.pop_back();
    }
    best.insert(std::ranges::upper_bound(best, logit(t), std::ranges::greater{}, logit), t);
  }
  std::vector<TokenLogprob> out;
  for (const TokenId t : best) out.push_back({t, (*this)(t)});
  return out;
}

std::uint32_t LogSoftmax::rank(TokenId t) const {
  const auto at = static_cast<std::size_t>(t);
  const float mine = logits_[at];
  const auto likelier = std::ranges::count_if(logits_, [mine](float v) { return v > mine; });
  const auto ties_before = std::ranges::count(logits_.first(at), mine);
  return static_cast<std::uint32_t>(1 + likelier + ties_before);
}

Result<RatedToken> rate(std::span<const float> logits, TokenId token, std::size_t top) {
  SLUICE_TRY(check_logits(logits));
  const LogSoftmax log_softmax(logits);
  if (std::isnan(log_softmax(token))) return fail(Errc::data_corrupt, "every logit of the model is -inf");
  return RatedToken{token, log_softmax(token), log_softmax.rank(token), log_softmax.top(top)};
}

}  // namespace sluice::engine
