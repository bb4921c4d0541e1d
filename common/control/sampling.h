#pragma once
// How one leg samples: plain data that travels coordinator -> decode node (messages.h writes and reads it).
// The decode node converts it to the engine's sampler parameters. Threading: values, no shared state.
// Failure modes: check() refuses values out of range, so a node never trusts a peer's numbers.
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "common/shared_text.h"

namespace sluice::control {

struct SamplingSpec {
  // Length.
  int max_tokens = 16;      // generated tokens at most, >= 1
  int min_tokens = 0;       // EOS and stop tokens are barred before this many
  bool ignore_eos = false;  // EOS is an ordinary token; stop_token_ids still stop

  // Distribution. The defaults sample the model's own distribution.
  double temperature = 1.0;         // 0 = greedy
  double top_p = 1.0;               // (0, 1]; 1 = off
  int top_k = 0;                    // 0 = off
  double min_p = 0.0;               // [0, 1]; 0 = off
  double repetition_penalty = 1.0;  // > 0; 1 = off
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  std::vector<std::pair<TokenId, double>> logit_bias;  // added to the logits; ascending by id

  // Always set: the coordinator draws one when the client gave none, so that a resumed leg continues the same
  // random stream. Choice i of a request uses seed + i. Draws depend on (seed, output position) only.
  std::uint64_t seed = 0;

  std::vector<TokenId> stop_token_ids;  // besides the model's EOS ids

  // What the answer may be, as EBNF (text/grammar/sources.h); empty: anything.
  SharedText grammar;

  // How many alternatives to report per token; nullopt = no log-probabilities at all, 0 = the sampled token's only.
  std::optional<int> logprobs;

  friend bool operator==(const SamplingSpec&, const SamplingSpec&) = default;
};

inline constexpr int kMaxLogprobs = 20;
inline constexpr std::size_t kMaxLogitBias = 1024;
inline constexpr std::size_t kMaxStopTokenIds = 256;
inline constexpr std::size_t kMaxGrammarBytes = 512U << 10U;  // of EBNF

/// Refuses values no sampler can use. vocab_size 0 skips the token id checks.
[[nodiscard]] inline Result<> check(const SamplingSpec& s, int vocab_size = 0) {
  auto in = [](double v, double lo, double hi) { return std::isfinite(v) && v >= lo && v <= hi; };
  auto known = [&](TokenId id) { return id >= 0 && (vocab_size == 0 || id < vocab_size); };
  if (s.max_tokens < 1) return fail_param("max_tokens", "max_tokens must be at least 1, not {}", s.max_tokens);
  if (s.min_tokens < 0 || s.min_tokens > s.max_tokens)
    return fail_param("min_tokens", "min_tokens must be between 0 and max_tokens ({}), not {}", s.max_tokens,
                      s.min_tokens);
  if (!in(s.temperature, 0, 2)) return fail_param("temperature", "temperature must be between 0 and 2");
  if (!in(s.top_p, 0, 1) || s.top_p == 0) return fail_param("top_p", "top_p must be above 0 and at most 1");
  if (s.top_k < 0) return fail_param("top_k", "top_k must be 0 (off) or at least 1, not {}", s.top_k);
  if (!in(s.min_p, 0, 1)) return fail_param("min_p", "min_p must be between 0 and 1");
  if (!std::isfinite(s.repetition_penalty) || s.repetition_penalty <= 0)
    return fail_param("repetition_penalty", "repetition_penalty must be above 0");
  if (!in(s.presence_penalty, -2, 2))
    return fail_param("presence_penalty", "presence_penalty must be between -2 and 2");
  if (!in(s.frequency_penalty, -2, 2))
    return fail_param("frequency_penalty", "frequency_penalty must be between -2 and 2");
  if (s.logit_bias.size() > kMaxLogitBias)
    return fail_param("logit_bias", "logit_bias holds {} entries; at most {} are allowed", s.logit_bias.size(),
                      kMaxLogitBias);
  for (const auto& [id, bias] : s.logit_bias)
    if (!known(id) || !in(bias, -100, 100))
      return fail_param("logit_bias",
                        "logit_bias entry {} must name a token of the vocabulary with a bias between -100 and 100", id);
  if (s.stop_token_ids.size() > kMaxStopTokenIds)
    return fail_param("stop_token_ids", "stop_token_ids holds {} ids; at most {} are allowed", s.stop_token_ids.size(),
                      kMaxStopTokenIds);
  for (TokenId id : s.stop_token_ids)
    if (!known(id)) return fail_param("stop_token_ids", "stop_token_ids: token {} is not in the vocabulary", id);
  if (s.grammar.value().size() > kMaxGrammarBytes)
    return fail_param("grammar", "the grammar has {} bytes; at most {} are allowed", s.grammar.value().size(),
                      kMaxGrammarBytes);
  if (s.logprobs && (*s.logprobs < 0 || *s.logprobs > kMaxLogprobs))
    return fail_param("logprobs", "logprobs must be between 0 and {}, not {}", kMaxLogprobs, *s.logprobs);
  return {};
}

}  // namespace sluice::control
