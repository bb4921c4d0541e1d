#pragma once
// Stacks of calls, shared: a frame says where a call comes back to, and has as parents the frames under it. Frames
// never change and equal ones are one, so a set of stacks is a graph that grows by at most the network's calls with
// each byte. One thread's at a time.
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/automaton/network.h"

namespace sluice::text::grammar {

using FrameIndex = std::uint32_t;

class Stacks {
 public:
  /// The frame under all others: whoever comes back to it has read the whole text.
  static constexpr FrameIndex kBottom = 0;

  struct Frame {
    PlaceIndex back = 0;
    std::uint32_t count = 0;  // of the caller's unit
    std::uint32_t parents_begin = 0, parents_end = 0;
  };

  Stacks();
  /// `parents` ascending, none twice.
  FrameIndex push(PlaceIndex back, std::uint32_t count, std::span<const FrameIndex> parents);
  [[nodiscard]] const Frame& frame(FrameIndex i) const { return frames_[i]; }
  [[nodiscard]] FrameIndex parent(std::uint32_t i) const { return parents_[i]; }

  /// What was pushed since a mark goes.
  [[nodiscard]] FrameIndex mark() const { return static_cast<FrameIndex>(frames_.size()); }
  void release(FrameIndex mark);
  /// Keeps what `live` frames stand on, in order, and renames them.
  void collect(std::span<FrameIndex* const> live);
  [[nodiscard]] std::size_t size() const { return frames_.size(); }

 private:
  [[nodiscard]] std::size_t hash(PlaceIndex back, std::uint32_t count, std::span<const FrameIndex> parents) const;
  [[nodiscard]] std::span<const FrameIndex> parents_of(const Frame& f) const {
    return {parents_.data() + f.parents_begin, parents_.data() + f.parents_end};
  }
  void enter(FrameIndex i);
  void rebuild(std::size_t slots);

  std::vector<Frame> frames_;
  std::vector<FrameIndex> parents_;
  std::vector<FrameIndex> slots_;  // open addressing, kBottom: free; later frames are entered after earlier ones
};

}  // namespace sluice::text::grammar
