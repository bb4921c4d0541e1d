#pragma once
// What a model's KV looks like channel by channel: whether knowing channels is worth more than rotating them away.
#include "tools/quality/lab.h"

namespace sluice::quality {

/// Of one layer's keys or values, averaged over heads. Gains in bits per value at equal error, from the ratio of the
/// arithmetic to the geometric mean of channel powers (the gain of coding each channel for its own power; Jayant &
/// Noll).
struct ChannelFigures {
  std::uint32_t layer = 0;
  bool value = false;
  double shift_bits = 0;                // 1/2 log2 of power over variance: what subtracting each channel's mean saves
  double power_bits = 0;                // 1/2 log2 AM/GM of the channels' powers, means left in
  double spread_bits = 0;               // 1/2 log2 AM/GM of their variances, means subtracted
  double rotated_bits = 0;              // 1/2 log2 AM/GM of the powers after random signs and Walsh-Hadamard
  double crest = 0, rotated_crest = 0;  // mean over vectors of largest magnitude over norm: what absmax scales pay for
};

/// Mean and standard deviation of every channel: by kind, [layers, kv_heads, head_dim].
struct ChannelMoments {
  std::array<std::vector<double>, 2> mean, deviation;
};
[[nodiscard]] ChannelMoments channel_moments(Lab& lab, std::span<const Row> rows, std::uint32_t tokens);

/// From the first `tokens` positions of each row's KV.
[[nodiscard]] std::vector<ChannelFigures> channel_figures(Lab& lab, std::span<const Row> rows, std::uint32_t tokens);

}  // namespace sluice::quality
