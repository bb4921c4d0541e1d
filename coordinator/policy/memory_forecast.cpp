#include "coordinator/policy/memory_forecast.h"

#include <algorithm>
#include <cmath>

#include "coordinator/policy/output_lengths.h"

namespace sluice::coordinator {
namespace {

constexpr double kBoldWeight = 4;     // outputs that the prior counts for
constexpr double kBoldTokens = 256;   // where three of four have ended by the prior
constexpr std::uint64_t kAtOnce = 4;  // preemptions that count, of those told together: they have one cause

/// The chance to be longer than so many tokens. The prior is Lomax' tail of shape 2.
double longer(const OutputLengths& l, double tokens) {
  const double scaled = 1 + tokens / kBoldTokens;
  return (l.weight() * l.seen(tokens) + kBoldWeight / (scaled * scaled)) / (l.weight() + kBoldWeight);
}

std::uint32_t begin_of(std::size_t cell) { return cell == 0 ? 0 : Staying::kEnds[cell - 1]; }

}  // namespace

double longer_than(const OutputLengths& lengths, double tokens, double emitted, double limit) {
  if (tokens >= limit) return 0;
  return tokens <= emitted ? 1 : std::min(longer(lengths, tokens) / longer(lengths, emitted), 1.0);
}

Staying expected_stay(const OutputLengths& lengths, std::uint32_t emitted, std::uint32_t limit) {
  Staying out;
  const std::uint32_t left = limit - std::min(emitted, limit);
  const double now = longer(lengths, emitted);
  for (std::size_t i = 0; i < Staying::kCells; ++i) {
    const std::uint32_t begin = begin_of(i);
    const double middle = 0.5 * (static_cast<double>(begin) + std::min(Staying::kEnds[i], left));
    out.chance[i] = begin < left ? static_cast<float>(std::min(longer(lengths, emitted + middle) / now, 1.0)) : 0;
  }
  return out;
}

double expected_left(const Staying& stay, std::uint32_t left) {
  double sum = 0;
  for (std::size_t i = 0; i < Staying::kCells && begin_of(i) < left; ++i)
    sum += double{stay.chance[i]} * (std::min(Staying::kEnds[i], left) - begin_of(i));
  return sum;
}

namespace {

/// Of each cell: what the sequence would hold at its end, and the chance that it does.
template <class Then>
void for_each_cell(const Growing& g, const Staying& stay, const Then& then) {
  const float per_block = 1.0F / static_cast<float>(std::max(g.block_size, 1U));
  for (std::size_t i = 0; i < Staying::kCells; ++i) {
    const float tokens = static_cast<float>(g.tokens) + static_cast<float>(std::min(Staying::kEnds[i], g.left));
    const float blocks = std::ceil(tokens * per_block);
    const float s = begin_of(i) < g.left ? stay.chance[i] : 0.0F;
    then(i, s * blocks, s * (1 - s) * blocks * blocks);
  }
}

}  // namespace

MemoryPart memory_part(const Growing& g, const Staying& stay) {
  MemoryPart out;
  for_each_cell(g, stay, [&](std::size_t i, float mean, float var) {
    out.mean[i] = mean;
    out.var[i] = var;
  });
  return out;
}

void MemoryForecast::add(const MemoryPart& p, std::uint32_t times) {
  for (std::size_t i = 0; i < Staying::kCells; ++i) {
    mean_[i] += static_cast<double>(times) * p.mean[i];
    var_[i] += static_cast<double>(times) * p.var[i];
  }
  seqs_ += times;
}

void MemoryForecast::remove(const MemoryPart& p, std::uint32_t times) {
  seqs_ -= std::min(times, seqs_);
  if (seqs_ == 0) return clear();  // nothing is left of rounding
  for (std::size_t i = 0; i < Staying::kCells; ++i) {
    mean_[i] = std::max(mean_[i] - static_cast<double>(times) * p.mean[i], 0.0);
    var_[i] = std::max(var_[i] - static_cast<double>(times) * p.var[i], 0.0);
  }
}

void MemoryForecast::replace(const MemoryPart& before, const MemoryPart& after) {
  add(after);
  remove(before);
}

void MemoryForecast::clear() {
  mean_.fill(0);
  var_.fill(0);
  seqs_ = 0;
}

double MemoryForecast::expected_peak() const { return *std::ranges::max_element(mean_); }

double MemoryForecast::peak() const {
  double most = 0;
  for (std::size_t i = 0; i < Staying::kCells; ++i) most = std::max(most, mean_[i] + kDoubt * std::sqrt(var_[i]));
  return most;
}

bool MemoryForecast::fits(const Growing& newcomer, const Staying& stay, std::uint32_t pool) const {
  if (seqs_ == 0) return true;
  double most = 0;
  for_each_cell(newcomer, stay, [&](std::size_t i, float mean, float var) {
    most = std::max(most, mean_[i] + mean + kDoubt * std::sqrt(var_[i] + var));
  });
  return most <= pool * (1 - margin_);
}

void MemoryForecast::preempted(std::uint64_t times) {
  margin_ = std::min(margin_ + kStep * static_cast<double>(std::min(times, kAtOnce)), kMostMargin);
}

void MemoryForecast::ended() { margin_ *= 1 - kForget; }

}  // namespace sluice::coordinator
