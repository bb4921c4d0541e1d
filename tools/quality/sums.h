#pragma once
// What score.cpp and scorer.cpp share: one codec's figures while they are added up. Pure.
#include "tools/quality/score.h"

namespace sluice::quality {

/// log softmax(l)[v] = l[v] - offset.
[[nodiscard]] double log_offset(std::span<const float> logits);
[[nodiscard]] std::size_t argmax(std::span<const float> v);

/// What is added up for one codec.
struct Sums {
  Damage damage;
  std::vector<double> kl;
  std::vector<double> kl_by_window, same_top;  // means over a window's tokens
  std::vector<double> kl_first;                // of a window's first token after the prompt
  double nll = 0;
};

/// Of one forced token: KL(reference || own) in nats, whether both have the same best token, own NLL of `next`.
struct TokenFigures {
  double kl = 0, nll = 0;
  bool same_top = false;
};
[[nodiscard]] TokenFigures compare(std::span<const float> reference, double reference_offset, std::size_t reference_top,
                                   std::span<const float> own, TokenId next);

[[nodiscard]] Score finish(Sums& s, double reference_nll);

}  // namespace sluice::quality
