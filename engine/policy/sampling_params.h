#pragma once
// What a user may ask of sampling, with vLLM's names, ranges and defaults. Plain data; validate() is the one
// place that judges it, and names the parameter at fault.
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::engine {

struct SamplingParams {
  double temperature = 1.0;                // >= 0; 0 is greedy
  std::int32_t top_k = 0;                  // 0 or -1: off
  double top_p = 1.0;                      // (0, 1]
  double min_p = 0.0;                      // [0, 1], relative to the most likely token
  double repetition_penalty = 1.0;         // (0, inf), over prompt and output
  double presence_penalty = 0.0;           // [-2, 2], over output
  double frequency_penalty = 0.0;          // [-2, 2], over output
  std::map<TokenId, double> logit_bias{};  // added to the logit, clamped to [-100, 100]
  std::optional<std::uint64_t> seed{};
  std::vector<TokenId> stop_token_ids{};
  std::uint32_t min_tokens = 0;  // until then neither eos nor a stop token is drawn
  std::optional<std::uint32_t> max_tokens{};
  bool ignore_eos = false;
  std::optional<std::uint32_t> logprobs{};  // 0..20 alternatives; unset: none, nor the chosen token's

  [[nodiscard]] Result<> validate() const;
  [[nodiscard]] bool greedy() const noexcept;
};

}  // namespace sluice::engine
