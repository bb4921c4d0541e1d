#pragma once
// How far one next-token distribution is from another, when only the head of the first is known.
//
// KL(p || q) is taken over p's most likely tokens, each for itself, and one bucket for all others. Putting outcomes
// into buckets never increases KL (data-processing inequality), so what is computed here is a lower bound of the KL
// over the whole vocabulary, in nats: evidence of a difference is evidence, evidence of none is not proof. Pure;
// doubles inside, since a KL of 1e-6 is the difference of numbers near 1.
#include <cstddef>
#include <span>

#include "common/result.h"
#include "kvtransfer/wire/reference.h"

namespace sluice::node {

struct Divergence {
  double kl = 0;      // nats, >= 0
  bool top1 = false;  // both have the same most likely token (the lowest id on ties)
};

/// log of the sum of exp(logits). data_corrupt when they hold NaN or +infinity, or nothing finite.
[[nodiscard]] Result<double> log_sum_exp(std::span<const float> logits);
/// The `most` likeliest tokens of softmax(logits), or all.
[[nodiscard]] Result<kv::HeadDistribution> head_of(std::span<const float> logits, std::size_t most);
/// KL(reference || softmax(logits)) over reference's buckets. invalid_argument when a token is not in the vocabulary.
[[nodiscard]] Result<Divergence> divergence(const kv::HeadDistribution& reference, std::span<const float> logits);

}  // namespace sluice::node
