#include "coordinator/ctl/load/synthetic.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace sluice::ctl::load {
namespace {

// What a stream of random numbers is for (stream_of's `what`).
constexpr std::uint64_t kInputLength = 1, kOutputLength = 2, kGroup = 3, kPrefix = 4, kTurn = 5, kBlock = 6;
constexpr std::uint64_t kTraceBlock = 512;  // tokens that one of Mooncake's hash_ids stands for

}  // namespace

std::uint64_t Lengths::draw(std::uint64_t stream) const {
  const auto m = static_cast<double>(mean);
  const auto least = static_cast<std::uint64_t>(std::max(1.0, std::floor(m * (1 - range))));
  const auto most = std::max(least, static_cast<std::uint64_t>(std::ceil(m * (1 + range))));
  if (range == 0) return mean;
  return least + std::mt19937_64(stream)() % (most - least + 1);
}

Turn RandomDataset::turn(std::size_t i, std::size_t) const {
  Turn t;
  t.input_tokens = spec_.input.draw(stream_of(spec_.seed, i, kInputLength));
  t.output_tokens = spec_.output.draw(stream_of(spec_.seed, i, kOutputLength));
  t.clipped = fit_context(t.input_tokens, t.output_tokens, around_.context);
  around_.material.append(t.prompt, t.input_tokens, stream_of(spec_.seed, i));
  return t;
}

Turn PrefixDataset::turn(std::size_t i, std::size_t) const {
  Turn t;
  std::uint64_t own = spec_.input.draw(stream_of(spec_.seed, i, kInputLength));
  t.input_tokens = prefix_len_ + own;
  t.output_tokens = spec_.output.draw(stream_of(spec_.seed, i, kOutputLength));
  t.clipped = fit_context(t.input_tokens, t.output_tokens, around_.context);
  const std::uint64_t group = std::mt19937_64(stream_of(spec_.seed, i, kGroup))() % groups_;
  const std::uint64_t shared = std::min(prefix_len_, t.input_tokens);
  around_.material.append(t.prompt, shared, stream_of(spec_.seed, group, kPrefix));
  own = t.input_tokens - shared;
  if (own > 0) around_.material.append(t.prompt, own, stream_of(spec_.seed, i));
  return t;
}

Turn MultiTurnDataset::turn(std::size_t i, std::size_t t) const {
  Turn out;
  const std::uint64_t which = i * turns_ + t;
  out.input_tokens = spec_.input.draw(stream_of(spec_.seed, which, kInputLength));
  out.output_tokens = spec_.output.draw(stream_of(spec_.seed, which, kOutputLength));
  around_.text.append(out.prompt, out.input_tokens, stream_of(spec_.seed, which, kTurn));
  return out;
}

Turn TraceDataset::turn(std::size_t i, std::size_t) const {
  const PlannedRequest& q = plan_[i % plan_.size()];
  Turn t;
  t.input_tokens = q.input_tokens;
  t.output_tokens = q.output_tokens;
  t.clipped = fit_context(t.input_tokens, t.output_tokens, around_.context);
  std::uint64_t left = t.input_tokens;
  for (const std::uint32_t block : q.prefix_blocks) {
    if (left == 0) break;
    const std::uint64_t part = std::min(left, kTraceBlock);
    around_.material.append(t.prompt, part, stream_of(seed_, block, kBlock));
    left -= part;
  }
  if (left > 0) around_.material.append(t.prompt, left, stream_of(seed_, i));
  return t;
}

}  // namespace sluice::ctl::load
