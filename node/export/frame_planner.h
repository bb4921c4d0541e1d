#pragma once
// First stage of an export: finished layers become numbered frames. Numbers rise in the order in which frames are
// queued; under one ticket none is used twice. Pure; the owner serialises calls.
#include <cstdint>
#include <vector>

#include "kvtransfer/transfer_plan.h"

namespace sluice::node {

struct PlannedFrame {
  kv::FrameSpec spec;
  std::uint64_t sequence = 0;
};

class FramePlanner {
 public:
  /// overlap false: frames are held back until the whole prompt is computed.
  FramePlanner(const kv::KvLayout& layout, std::size_t target_frame_bytes, bool overlap);

  /// The frames that may be encoded now that `layer` of `tokens` is in the pool.
  [[nodiscard]] std::vector<PlannedFrame> layer_done(kv::TokenRange tokens, std::uint32_t layer);
  /// Every position is computed: those that were held back.
  [[nodiscard]] std::vector<PlannedFrame> computed();

  /// Raw bytes in all frames given out so far.
  [[nodiscard]] std::uint64_t planned_bytes() const noexcept { return planned_bytes_; }
  [[nodiscard]] std::uint64_t raw_bytes(const kv::FrameSpec& f) const noexcept;

 private:
  [[nodiscard]] std::vector<PlannedFrame> number(const std::vector<kv::FrameSpec>& frames);

  kv::KvLayout layout_;
  bool overlap_;
  kv::TransferPlanner planner_;
  std::vector<kv::FrameSpec> held_back_;
  std::uint64_t next_ = 0, planned_bytes_ = 0;
};

}  // namespace sluice::node
