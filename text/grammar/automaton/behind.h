#pragma once
// The tokens that leave a place's unit and go on in what called it. They depend on the frames that they come back to,
// and on those only, so they are kept with a description of these frames and serve every answer whose stacks look the
// same that far down. Const once made.
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "text/grammar/automaton/place_mask.h"
#include "text/grammar/automaton/stacks.h"

namespace sluice::text::grammar {

/// Frames below some threads, as deep as they were come back to. Counts are known as far as a token can tell.
class FrameShape {
 public:
  /// `left`: the frames come back to, in any order, perhaps others too. Nothing where the shape would be large.
  static std::optional<FrameShape> of(const Stacks& stacks, std::span<const Thread> threads,
                                      std::span<const FrameIndex> left, const Rooms& rooms);
  [[nodiscard]] bool fits(const Stacks& stacks, std::span<const Thread> threads, const Rooms& rooms) const;
  [[nodiscard]] std::size_t memory_bytes() const { return items_.capacity() * sizeof(Item) + parents_.capacity(); }

 private:
  static constexpr std::size_t kFrames = 32;
  using Local = std::uint8_t;  // frames are numbered as they are met, from the threads down
  struct Item {
    enum class Kind : std::uint8_t { bottom, frame, unseen } kind = Kind::unseen;
    PlaceIndex back = 0;
    Room room;
    std::uint32_t parents_begin = 0, parents_end = 0;
  };
  std::vector<Item> items_;
  std::vector<Local> heads_;  // of the threads
  std::vector<Local> parents_;
};

class Behind {
 public:
  struct Found {
    std::uint32_t count;  // of the unit, where it was left
    TokenId id;
    auto operator<=>(const Found&) const = default;
  };
  /// Made of all that were found, in any order; or of none, since there was too much to look at.
  Behind(FrameShape shape, std::vector<Found> found, std::size_t words);
  explicit Behind(FrameShape shape) : shape_(std::move(shape)), complete_(false) {}

  [[nodiscard]] const FrameShape& shape() const { return shape_; }
  /// False: it is only known that they take long.
  [[nodiscard]] bool complete() const { return complete_; }
  void add_to(std::span<std::uint64_t> bits, Room room) const;
  [[nodiscard]] std::size_t memory_bytes() const {
    return sizeof *this + shape_.memory_bytes() + bits_.capacity() * 8 + found_.capacity() * sizeof(Found);
  }

 private:
  FrameShape shape_;
  bool complete_ = true;
  std::vector<Found> found_;         // ascending
  std::vector<std::uint64_t> bits_;  // of many that have one count
  std::uint32_t count_ = 0;
};

}  // namespace sluice::text::grammar
