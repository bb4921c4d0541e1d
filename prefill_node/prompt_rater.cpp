#include "prefill_node/prompt_rater.h"

namespace sluice::prefill {

void PromptRater::on_rows(std::uint32_t first_pos, std::span<const float> logits) {
  for (std::size_t next = first_pos - first_pos_; !logits.empty() && outcome_; logits = logits.subspan(vocab_)) {
    auto rated = engine::rate(logits.first(vocab_), next_[next++], top_);
    if (rated)
      rated_.push_back(std::move(*rated));
    else
      outcome_ = std::unexpected(rated.error());
  }
}

}  // namespace sluice::prefill
