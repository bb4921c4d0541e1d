#include "node/export/frame_planner.h"

#include <utility>

namespace sluice::node {

FramePlanner::FramePlanner(const kv::KvLayout& layout, std::size_t target_frame_bytes, bool overlap)
    : layout_(layout), overlap_(overlap), planner_(layout, {.target_frame_bytes = target_frame_bytes}) {}

std::vector<PlannedFrame> FramePlanner::layer_done(kv::TokenRange tokens, std::uint32_t layer) {
  const std::vector<kv::FrameSpec> ready = planner_.layer_done(tokens, layer);
  if (overlap_) return number(ready);
  held_back_.insert(held_back_.end(), ready.begin(), ready.end());
  return {};
}

std::vector<PlannedFrame> FramePlanner::computed() { return number(std::exchange(held_back_, {})); }

std::uint64_t FramePlanner::raw_bytes(const kv::FrameSpec& f) const noexcept {
  return std::uint64_t{f.segments()} * f.tokens.count * layout_.row_bytes();
}

std::vector<PlannedFrame> FramePlanner::number(const std::vector<kv::FrameSpec>& frames) {
  std::vector<PlannedFrame> out;
  out.reserve(frames.size());
  for (const kv::FrameSpec& f : frames) {
    out.push_back({f, next_++});
    planned_bytes_ += raw_bytes(f);
  }
  return out;
}

}  // namespace sluice::node
