#pragma once
// Which heads of a segment are coded how: the class map of a profile, resolved for one layer and kind.
#include <cstdint>
#include <vector>

#include "kvtransfer/codec/profile/spec.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

/// Consecutive heads of one class.
struct HeadRun {
  std::uint32_t first = 0, count = 0;
  std::size_t use = 0;  // index into ProfileSpec::classes
  friend bool operator==(const HeadRun&, const HeadRun&) = default;
};

/// Runs in head order that cover all heads; s.layers is the model's number of layers.
void resolve(const ProfileSpec& p, const SegmentShape& s, std::vector<HeadRun>& out);

/// Rows of a segment that are sent exact: the first `head` and the last `tail`.
struct ExactRows {
  std::uint32_t head = 0, tail = 0;
};
[[nodiscard]] ExactRows exact_rows(const ProfileSpec& p, const SegmentShape& s) noexcept;

}  // namespace sluice::kv
