#pragma once
// What one place allows, whatever stacks are under it: tokens that it reads to their end, and the points in the tree of
// tokens where its unit was left, behind which only the stack can tell. Const once made.
#include <cstdint>
#include <span>
#include <vector>

#include "common/ids.h"
#include "text/grammar/automaton/walk.h"

namespace sluice::text::grammar {

class PlaceMask {
 public:
  /// `from`: where, with the bottom as its frame. `walk` is scratch.
  static PlaceMask make(const Network& network, const TokenTrie& trie, std::size_t words, Thread from, Walk& walk);

  /// Sets what is allowed; other bits stay.
  void add_to(std::span<std::uint64_t> bits) const;
  /// Nodes that follow a point where the unit was left, by a byte.
  [[nodiscard]] std::span<const std::uint32_t> behind(std::uint8_t byte) const {
    if (behind_.empty()) return {};
    return {behind_.data() + first_[byte], behind_.data() + first_[byte + 1U]};
  }
  [[nodiscard]] bool may_leave() const { return !behind_.empty(); }
  [[nodiscard]] std::size_t memory_bytes() const {
    return sizeof *this + bits_.capacity() * 8 + ids_.capacity() * 4 + (behind_.capacity() + first_.capacity()) * 4;
  }

 private:
  void index(const TokenTrie& trie, std::span<const std::uint32_t> left);

  std::vector<std::uint64_t> bits_;   // of many tokens
  std::vector<TokenId> ids_;          // of few
  std::vector<std::uint32_t> first_;  // [257] into behind_, or empty
  std::vector<std::uint32_t> behind_;
};

}  // namespace sluice::text::grammar
