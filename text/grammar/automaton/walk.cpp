#include "text/grammar/automaton/walk.h"

#include <algorithm>

namespace sluice::text::grammar {

void Walk::begin(const Network& network, const TokenTrie& trie, Stacks& stacks, std::size_t work) {
  net_ = &network;
  trie_ = &trie;
  stacks_ = &stacks;
  stepper_.use(network);
  sets_.clear();
  pool_.clear();
  rows_.clear();
  slots_.assign(64, kUnknown);
  limit_ = work;
  edges_ = 0;
  sets_.emplace_back();
  rows_.emplace_back().fill(kDead);
}

Walk::SetIndex Walk::enter(const ThreadSet& set) {
  if (set.dead()) return kDead;
  const auto hash_of = [](std::span<const Thread> threads, bool bottom) {
    std::uint64_t h = bottom ? 1 : 0;
    for (const auto& t : threads) {
      h = (h ^ t.place ^ std::uint64_t{t.frame} << 32U) * 0x9E3779B97F4A7C15ULL;
      h ^= (h >> 32U) + t.count;
    }
    h *= 0x9E3779B97F4A7C15ULL;
    return static_cast<std::size_t>(h >> 20U);
  };
  const auto mask = slots_.size() - 1;
  auto at = hash_of(set.threads, set.bottom) & mask;
  for (; slots_[at] != kUnknown; at = (at + 1) & mask) {
    const auto& known = sets_[slots_[at]];
    if (known.bottom == set.bottom && std::ranges::equal(threads(known), set.threads)) return slots_[at];
  }
  const auto id = static_cast<SetIndex>(sets_.size());
  const auto begin = static_cast<std::uint32_t>(pool_.size());
  pool_.insert(pool_.end(), set.threads.begin(), set.threads.end());
  sets_.push_back({begin, static_cast<std::uint32_t>(pool_.size()), set.bottom});
  auto& row = rows_.emplace_back();
  row.fill(kDead);
  for (const auto& t : set.threads) {
    for (const auto& e : net_->edges_of(net_->places[t.place])) {
      std::fill(row.begin() + e.first, row.begin() + e.last + 1, kUnknown);
      ++edges_;
    }
  }
  slots_[at] = id;
  if (sets_.size() * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, kUnknown);
    for (SetIndex s = 1; s < sets_.size(); ++s) {
      auto to = hash_of(threads(sets_[s]), sets_[s].bottom) & (slots_.size() - 1);
      while (slots_[to] != kUnknown) to = (to + 1) & (slots_.size() - 1);
      slots_[to] = s;
    }
  }
  return id;
}

Walk::SetIndex Walk::make_next(SetIndex set, std::uint8_t byte) {
  const auto list = threads(sets_[set]);
  from_.assign(list.begin(), list.end());
  stepper_.step(from_, byte, *stacks_, scratch_);
  const auto to = enter(scratch_);
  rows_[set][byte] = to;
  return to;
}

}  // namespace sluice::text::grammar
