#pragma once
// Walks the tree of tokens with sets of threads. Sets that were met are remembered with what each byte makes of them,
// so that most nodes cost one look into a table. The work is bounded: it is counted in threads moved, and depends on
// nothing but the set that a walk begins with. One thread's at a time.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/automaton/stepper.h"
#include "text/grammar/automaton/token_trie.h"

namespace sluice::text::grammar {

class Walk {
 public:
  /// What the steps of one walk may cost, a millisecond or two: ten times what forms of JSON take.
  static constexpr std::size_t kWork = 30'000;

  using SetIndex = std::uint32_t;
  static constexpr SetIndex kDead = 0;

  /// Begins anew: nothing is remembered. All outlive the walk.
  void begin(const Network& network, const TokenTrie& trie, Stacks& stacks, std::size_t work = kWork);
  /// Frames that are come back to are listed.
  void list_frames(std::vector<FrameIndex>* list) { stepper_.list_frames(list); }
  [[nodiscard]] SetIndex enter(const ThreadSet& set);
  [[nodiscard]] bool reaches_bottom(SetIndex set) const { return sets_[set].bottom; }
  [[nodiscard]] bool exhausted() const { return work() > limit_; }
  /// Nothing was left out.
  [[nodiscard]] bool complete() const { return !exhausted() && !stepper_.gave_up(); }
  [[nodiscard]] std::size_t work() const { return stepper_.work() + edges_ + sets_.size() * kSetWork; }

  /// Some thread of it reads the byte: next() is not dead, and this costs no step.
  [[nodiscard]] bool reads(SetIndex set, std::uint8_t byte) const { return rows_[set][byte] != kDead; }
  /// What a byte makes of a set.
  [[nodiscard]] SetIndex next(SetIndex set, std::uint8_t byte) {
    const auto known = rows_[set][byte];
    return known != kUnknown ? known : make_next(set, byte);
  }

  /// Visits nodes [begin, end) of the tree, which hang below one node at `depth` where the set is `from`. met(node,
  /// set): the bytes to this node can be read. Stops when exhausted.
  template <class Met>
  void run(std::uint32_t begin, std::uint32_t end, std::uint32_t depth, SetIndex from, Met&& met) {
    at_.resize(std::max<std::size_t>(at_.size(), trie_->deepest() + 1));
    at_[depth] = from;
    for (auto i = begin; i < end;) {
      const auto& node = trie_->node(i);
      const auto set = next(at_[node.depth - 1], node.byte);
      if (set == kDead) {
        i = node.skip;
        continue;
      }
      if (exhausted()) return;
      at_[node.depth] = set;
      met(i, set);
      ++i;
    }
  }

  /// The same from the root, all nodes below it.
  template <class Met>
  void run_all(SetIndex from, Met&& met) {
    for (unsigned b = 0; b < 256 && !exhausted(); ++b) {
      const auto byte = static_cast<std::uint8_t>(b);
      if (rows_[from][b] == kDead || trie_->head(byte) == 0) continue;
      run(trie_->head(byte), trie_->node(trie_->head(byte)).skip, 0, from, met);
    }
  }

 private:
  static constexpr std::size_t kSetWork = 10;  // a set has a row of a kilobyte
  static constexpr SetIndex kUnknown = 0xFFFFFFFF;
  struct Set {
    std::uint32_t begin = 0, end = 0;
    bool bottom = false;
  };
  [[nodiscard]] std::span<const Thread> threads(const Set& s) const {
    return {pool_.data() + s.begin, pool_.data() + s.end};
  }
  SetIndex make_next(SetIndex set, std::uint8_t byte);

  const Network* net_ = nullptr;
  const TokenTrie* trie_ = nullptr;
  Stacks* stacks_ = nullptr;
  Stepper stepper_;
  std::vector<Set> sets_;
  std::vector<Thread> pool_;
  std::vector<std::array<SetIndex, 256>> rows_;
  std::vector<SetIndex> slots_;  // open addressing by threads; kUnknown: free
  std::vector<SetIndex> at_;     // by depth
  ThreadSet scratch_;
  std::vector<Thread> from_;
  std::size_t limit_ = kWork;
  std::size_t edges_ = 0;  // looked at when sets were entered
};

}  // namespace sluice::text::grammar
