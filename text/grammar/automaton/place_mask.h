#pragma once
// What one place allows, whatever stacks are under it: tokens that it reads to their end, and the points in the tree of
// tokens where its unit was left, behind which only the stack can tell. Const once made.
//
// A place in a unit that counts one thread's way (Unit::flat) has one mask for all counts: it knows how far each token
// counts.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/ids.h"
#include "text/grammar/automaton/walk.h"

namespace sluice::text::grammar {

/// How far a count is from its bounds.
struct Room {
  std::uint32_t to_least = 0, to_most = Unit::kUnbounded;
  bool operator==(const Room&) const = default;
};

/// Rooms as far as a token can tell: beyond what it can count all is one.
class Rooms {
 public:
  Rooms(const Network& network, std::uint32_t longest) : net_(network), far_(longest + 1) {}
  [[nodiscard]] Room of(PlaceIndex place, std::uint32_t count) const {
    const auto& unit = net_.units[net_.places[place].unit];
    if (!unit.counts) return {};
    // Each completed repetition takes a byte at least.
    const auto most = unit.most == Unit::kUnbounded ? far_ : std::min(unit.most - count, far_);
    return {std::min(unit.least - std::min(count, unit.least), far_), most};
  }

 private:
  const Network& net_;
  std::uint32_t far_;
};

class PlaceMask {
 public:
  /// `from`: where, with whatever frame. `walk` is scratch.
  static PlaceMask make(const Network& network, const TokenTrie& trie, std::size_t words, Thread from, Walk& walk);
  /// Of a place in a flat unit.
  static PlaceMask make_counted(const Network& network, const TokenTrie& trie, std::size_t words, PlaceIndex from);

  /// Sets what is allowed; other bits go, or stay. `room` matters to a counted one.
  void write_to(std::span<std::uint64_t> bits, Room room) const;
  void add_to(std::span<std::uint64_t> bits, Room room) const;
  [[nodiscard]] bool may_leave() const { return !behind_.empty(); }
  [[nodiscard]] bool may_leave(std::uint8_t byte) const { return first_[byte] != first_[byte + 1U]; }
  /// What it took to make.
  [[nodiscard]] std::size_t work() const { return work_; }
  /// It is kept as bits.
  [[nodiscard]] bool large() const { return !bits_.empty(); }
  /// It has one mask for all counts.
  [[nodiscard]] bool counted() const { return !upto_.empty(); }
  /// visit(node, count): those that follow a point where the unit was left, by a byte; what it had counted there (0
  /// unless counted()). Only if may_leave().
  template <class Visit>
  void each_behind(std::uint8_t byte, Room room, Visit&& visit) const {
    for (auto i = first_[byte]; i < first_[byte + 1U]; ++i)
      if (counts_.empty())
        visit(behind_[i], 0);
      else if (counts_[i] >= room.to_least && counts_[i] <= room.to_most)
        visit(behind_[i], counts_[i]);
  }
  [[nodiscard]] std::size_t memory_bytes() const {
    return sizeof *this + bits_.capacity() * 8 + ids_.capacity() * 4 + upto_.capacity() * 4 +
           (behind_.capacity() + first_.capacity() + counts_.capacity()) * 4;
  }

 private:
  struct Left {
    std::uint32_t node, count;
  };
  void index(const TokenTrie& trie, std::span<const Left> left, bool counted);
  /// How many of a counted one's ids there is room for.
  [[nodiscard]] std::size_t fit(Room room) const {
    return upto_[std::min<std::size_t>(room.to_most, upto_.size() - 1)];
  }

  std::vector<std::uint64_t> bits_;   // of many tokens
  std::vector<TokenId> ids_;          // of few; of a counted one all, ascending by count
  std::vector<std::uint32_t> upto_;   // of a counted one: [n] how many ids count to n at most
  std::vector<std::uint32_t> first_;  // [257] into behind_, or empty
  std::vector<std::uint32_t> behind_;
  std::size_t work_ = 0;
  std::vector<std::uint32_t> counts_;  // of a counted one: the count at which the unit was left
};

}  // namespace sluice::text::grammar
