#pragma once
// Rates a prompt's own tokens within one pass: from the logits after each of its rows, what the model said of the token
// that follows there.
// Life: made for the rows of one prompt in one pass, told their logits, read after it. Threading: the engine thread.
// Failure: what it was told last that cannot be rated is its outcome.
#include <vector>

#include "engine/model/model.h"
#include "engine/policy/logprobs.h"

namespace sluice::prefill {

class PromptRater final : public engine::RowLogits {
 public:
  /// next: the tokens at positions first_pos + 1 and following, one for each row of the pass.
  PromptRater(std::uint32_t vocab, std::uint32_t first_pos, std::vector<TokenId> next, std::uint32_t top)
      : vocab_(vocab), first_pos_(first_pos), next_(std::move(next)), top_(top) {}

  void on_rows(std::uint32_t first_pos, std::span<const float> logits) override;

  [[nodiscard]] const Result<>& outcome() const noexcept { return outcome_; }
  /// Position of rated()[0].
  [[nodiscard]] std::uint32_t first() const noexcept { return first_pos_ + 1; }
  [[nodiscard]] const std::vector<engine::RatedToken>& rated() const noexcept { return rated_; }

 private:
  const std::uint32_t vocab_;
  const std::uint32_t first_pos_;
  const std::vector<TokenId> next_;
  const std::uint32_t top_;  // of the likeliest tokens, at each position
  std::vector<engine::RatedToken> rated_;
  Result<> outcome_;
};

}  // namespace sluice::prefill
