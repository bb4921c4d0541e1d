#pragma once
// Log-probabilities (natural) of the model's own distribution, before penalties and temperature. Sampled tokens and a
// prompt's own tokens are rated by this same code.
// Threading: pure functions. Failure: data_corrupt when the logits hold NaN or +inf, or say nothing.
#include <cstdint>
#include <span>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::engine {

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0;
  friend bool operator==(const TokenLogprob&, const TokenLogprob&) = default;
};

/// NaN and +inf mean that the forward pass went wrong; -inf is a legal mask.
[[nodiscard]] Result<> check_logits(std::span<const float> logits);

/// Of one row: [vocab], which must outlive it.
class LogSoftmax {
 public:
  explicit LogSoftmax(std::span<const float> logits);
  [[nodiscard]] float operator()(TokenId t) const {
    return static_cast<float>(static_cast<double>(logits_[static_cast<std::size_t>(t)]) - log_sum_);
  }
  /// The n likeliest tokens, most likely first, lowest id on ties.
  [[nodiscard]] std::vector<TokenLogprob> top(std::size_t n) const;
  /// The token's place in that order, from 1.
  [[nodiscard]] std::uint32_t rank(TokenId t) const;

 private:
  std::span<const float> logits_;
  double log_sum_ = 0;
};

/// What the model said of a token that was there already.
struct RatedToken {
  TokenId token = 0;
  float logprob = 0;
  std::uint32_t rank = 0;
  std::vector<TokenLogprob> top;
  friend bool operator==(const RatedToken&, const RatedToken&) = default;
};

/// token: of the vocabulary that `logits` cover.
[[nodiscard]] Result<RatedToken> rate(std::span<const float> logits, TokenId token, std::size_t top);

}  // namespace sluice::engine
