#pragma once
// Draws the next token of one sequence from its logits. Order, as vLLM: logit_bias, min_tokens mask, repetition
// then frequency and presence penalty, the constraint's mask, (greedy stops here: highest logit, lowest id on ties),
// temperature, top_k, top_p, min_p, draw. Log-probabilities are of the model's own distribution, before any of that.
//
// Under a constraint (token_constraint.h) its end wins: a text that nothing continues ends the sequence, whatever
// min_tokens and ignore_eos say, and without an end token. Where the text may end but need not, they bar end tokens as
// long as anything else may come, and stop_token_ids may come as the model's own end tokens do.
//
// The draw is a function of (seed, position in the output) alone, so a sampler built on another node from the
// same prompt and the tokens already sent continues as this one would have.
//
// Threading: none; one sampler per sequence, different samplers run freely beside each other.
// Failure: data_corrupt when the logits hold NaN or +inf, or leave nothing to draw; unsupported when the constraint
// leaves nothing, since no token spells what it wants; never a crash.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "engine/policy/logprobs.h"
#include "engine/policy/sampling_params.h"
#include "engine/policy/token_constraint.h"
#include "engine/policy/token_mask.h"

namespace sluice::engine {

struct Sampled {
  TokenId token = 0;
  std::optional<float> logprob;            // set when params.logprobs is
  std::vector<TokenLogprob> top_logprobs;  // params.logprobs of them, most likely first
};

/// eos, stop_token: the last token is none of the text. complete: it ends a text that nothing continues.
enum class StopReason { eos, stop_token, complete, length };

struct SamplerContext {
  std::uint32_t vocab = 0;
  std::vector<TokenId> eos_ids;
  std::uint64_t fallback_seed = 0;  // where params.seed is unset; the same on every node that serves the request
};

class Sampler {
 public:
  /// `prompt` in full; tokens generated before a resume are accept()ed after.
  [[nodiscard]] static Result<Sampler> create(SamplingParams params, SamplerContext context,
                                              std::span<const TokenId> prompt);

  /// From now on only what it lets come is drawn. It was shown the tokens that were accepted before.
  void bind(std::unique_ptr<TokenConstraint> constraint);
  [[nodiscard]] bool bound() const noexcept { return constraint_ != nullptr; }

  /// logits: [vocab]. Changes nothing: call accept() with the token that was sent.
  [[nodiscard]] Result<Sampled> sample(std::span<const float> logits) const;

  /// The token that comes next whatever the logits are, where the constraint leaves but one.
  [[nodiscard]] std::optional<TokenId> forced() const;

  /// Counts a sampled or replayed token as output.
  void accept(TokenId token);

  /// Why the sequence ends with the token accepted last, if it does.
  [[nodiscard]] std::optional<StopReason> stop_reason() const noexcept;

  [[nodiscard]] std::uint32_t output_tokens() const noexcept { return output_tokens_; }
  [[nodiscard]] const SamplingParams& params() const noexcept { return params_; }

 private:
  Sampler(SamplingParams params, SamplerContext context, std::span<const TokenId> prompt);

  [[nodiscard]] bool adjusts() const noexcept;
  void adjust(std::span<float> logits) const;
  [[nodiscard]] Result<TokenId> choose(std::span<const float> logits) const;
  [[nodiscard]] Result<TokenId> choose_bound(std::span<const float> logits) const;
  [[nodiscard]] TokenId draw(std::span<const float> logits, std::span<const TokenId> ids) const;
  [[nodiscard]] MaskWords mask() const;
  [[nodiscard]] bool is_eos(TokenId t) const noexcept;
  [[nodiscard]] bool known(TokenId t) const noexcept {
    return t >= 0 && static_cast<std::uint32_t>(t) < context_.vocab;
  }
  void add_logprobs(std::span<const float> logits, Sampled& out) const;

  SamplingParams params_;
  SamplerContext context_;
  std::uint64_t seed_ = 0;
  std::uint32_t output_tokens_ = 0;
  TokenId last_ = -1;
  std::unordered_set<TokenId> prompt_set_;  // filled only where a repetition penalty needs it
  std::unordered_map<TokenId, std::uint32_t> output_count_;
  std::unique_ptr<TokenConstraint> constraint_;  // null: anything may come
  bool astray_ = false;                          // it refused a token that came
  mutable std::vector<std::uint64_t> mask_;      // what may come next; empty: not worked out yet
};

}  // namespace sluice::engine
