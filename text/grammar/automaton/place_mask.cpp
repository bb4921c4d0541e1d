#include "text/grammar/automaton/place_mask.h"

#include <algorithm>

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kListed = 1024;  // ids; more are kept as bits

}  // namespace

PlaceMask PlaceMask::make(const Network& network, const TokenTrie& trie, std::size_t words, Thread from, Walk& walk) {
  PlaceMask m;
  Stacks stacks;
  std::vector<std::uint32_t> left;
  from.frame = Stacks::kBottom;
  walk.begin(network, trie, stacks);
  const auto start = walk.enter({.threads = {from}, .bottom = false});
  const auto met = [&](std::uint32_t node, Walk::SetIndex set) {
    for (const auto id : trie.tokens(node)) m.ids_.push_back(id);
    if (walk.reaches_bottom(set) && trie.node(node).skip > node + 1) left.push_back(node);
  };
  walk.run(1, trie.size(), 0, start, met);
  if (walk.exhausted()) {
    // Too ambiguous to look at whole tokens: those of one byte are offered, which can spell any text.
    m.ids_.clear();
    left.clear();
    for (std::uint32_t i = 1; i < trie.size(); i = trie.node(i).skip) {
      if (walk.next(start, trie.node(i).byte) == Walk::kDead) continue;
      for (const auto id : trie.tokens(i)) m.ids_.push_back(id);
    }
  }
  if (m.ids_.size() > kListed) {
    m.bits_.assign(words, 0);
    for (const auto id : m.ids_) m.bits_[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
    m.ids_.clear();
  }
  m.ids_.shrink_to_fit();
  m.index(trie, left);
  return m;
}

void PlaceMask::index(const TokenTrie& trie, std::span<const std::uint32_t> left) {
  if (left.empty()) return;
  const auto each = [&](auto&& visit) {
    for (const auto node : left)
      for (auto c = node + 1; c < trie.node(node).skip; c = trie.node(c).skip) visit(trie.node(c).byte, c);
  };
  first_.assign(257, 0);
  each([&](std::uint8_t byte, std::uint32_t) { ++first_[byte + 1U]; });
  for (std::size_t b = 0; b < 256; ++b) first_[b + 1] += first_[b];
  behind_.resize(first_[256]);
  auto next = first_;
  each([&](std::uint8_t byte, std::uint32_t child) { behind_[next[byte]++] = child; });
}

void PlaceMask::add_to(std::span<std::uint64_t> bits) const {
  for (std::size_t i = 0; i < bits_.size(); ++i) bits[i] |= bits_[i];
  for (const auto id : ids_) bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
}

}  // namespace sluice::text::grammar
