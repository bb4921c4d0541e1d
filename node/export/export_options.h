#pragma once
// How a node exports KV, and how much may be under way. Pure.
#include <algorithm>
#include <cstddef>

namespace sluice::node {

struct ExportOptions {
  unsigned workers = 1;
  std::size_t target_frame_bytes = 1U << 20;
  std::size_t max_inflight_bytes = 64U << 20;
  bool overlap = true;  // false: frames are built only after the whole prompt is computed (for measuring overlap)
};

/// More than this much of a link's time is not encoded ahead: it would only wait, and hold memory that others need.
inline constexpr double kLinkWindowS = 0.05;

/// Encoded bytes that a link of this speed (0 = not known) may have in flight. At most three quarters of the whole: one
/// link at a stand leaves room for the others.
[[nodiscard]] inline std::size_t link_window(double bytes_per_s, const ExportOptions& o) {
  const std::size_t most = o.max_inflight_bytes - o.max_inflight_bytes / 4;
  const auto all = static_cast<double>(most);
  const double bytes = bytes_per_s > 0 ? std::min(bytes_per_s * kLinkWindowS, all) : all;
  return std::max(static_cast<std::size_t>(bytes), 2 * o.target_frame_bytes);
}

}  // namespace sluice::node
