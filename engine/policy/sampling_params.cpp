#include "engine/policy/sampling_params.h"

#include <cmath>

namespace sluice::engine {

namespace {

constexpr double kGreedyBelow = 1e-5;  // vLLM's _SAMPLING_EPS
constexpr std::uint32_t kMaxLogprobs = 20;

Result<> in_range(const char* name, double v, double low, double high) {
  if (v >= low && v <= high) return {};  // false for NaN
  return fail_param(name, "{} must be between {} and {}, got {}", name, low, high, v);
}

}  // namespace

bool SamplingParams::greedy() const noexcept { return temperature < kGreedyBelow; }

Result<> SamplingParams::validate() const {
  if (!std::isfinite(temperature) || temperature < 0)
    return fail_param("temperature", "temperature must be a finite number of at least 0, got {}", temperature);
  if (top_k < -1) return fail_param("top_k", "top_k must be -1 or 0 (off) or at least 1, got {}", top_k);
  if (!(top_p > 0 && top_p <= 1)) return fail_param("top_p", "top_p must be in (0, 1], got {}", top_p);
  SLUICE_TRY(in_range("min_p", min_p, 0, 1));
  if (!std::isfinite(repetition_penalty) || repetition_penalty <= 0)
    return fail_param("repetition_penalty", "repetition_penalty must be a finite number above 0, got {}",
                      repetition_penalty);
  SLUICE_TRY(in_range("presence_penalty", presence_penalty, -2, 2));
  SLUICE_TRY(in_range("frequency_penalty", frequency_penalty, -2, 2));
  for (const auto& [token, bias] : logit_bias)
    if (token < 0 || std::isnan(bias))
      return fail_param("logit_bias", "logit_bias maps token ids to numbers, got {}: {}", token, bias);
  for (const TokenId t : stop_token_ids)
    if (t < 0) return fail_param("stop_token_ids", "stop_token_ids must not be negative, got {}", t);
  if (max_tokens && *max_tokens == 0) return fail_param("max_tokens", "max_tokens must be at least 1");
  if (max_tokens && min_tokens > *max_tokens)
    return fail_param("min_tokens", "min_tokens {} exceeds max_tokens {}", min_tokens, *max_tokens);
  if (logprobs && *logprobs > kMaxLogprobs)
    return fail_param("logprobs", "logprobs must be between 0 and {}, got {}", kMaxLogprobs, *logprobs);
  return {};
}

}  // namespace sluice::engine
