#pragma once
// What Automaton holds: the network, and the masks of places made so far. Masks are made when first asked for and kept
// within a bound. Threading: everything but the masks is const; those have a lock, which is not held while one is made.
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/grammar/automaton/behind.h"
#include "text/grammar/automaton/network.h"
#include "text/grammar/automaton/place_mask.h"
#include "text/grammar/automaton/token_trie.h"
#include "text/grammar/matcher.h"

namespace sluice::text::grammar {

class Compiled {
 public:
  Compiled(Network network, std::shared_ptr<const Vocabulary> vocabulary);

  [[nodiscard]] const Network& network() const { return net_; }
  [[nodiscard]] const Vocabulary& vocabulary() const { return *vocabulary_; }
  /// The mask of a thread's place and count; to be read with its room.
  [[nodiscard]] std::shared_ptr<const PlaceMask> mask(Thread t) const;
  [[nodiscard]] const Rooms& rooms() const { return rooms_; }
  [[nodiscard]] Room room(Thread t) const { return rooms_.of(t.place, t.count); }
  [[nodiscard]] bool same_mask(Thread a, Thread b) const { return a.place == b.place && room(a) == room(b); }
  /// What is behind the unit of threads that have one mask; none: unknown yet.
  [[nodiscard]] std::shared_ptr<const Behind> behind(std::span<const Thread> threads, const Stacks& stacks) const;
  void remember(std::span<const Thread> threads, const Stacks& stacks, std::shared_ptr<const Behind> behind) const;
  /// Nodes of the tree of tokens below the bytes that a place reads: at most so many a walk from it visits.
  [[nodiscard]] std::uint32_t weight(PlaceIndex p) const { return weights_[p]; }
  /// Makes the masks that cost most, some of them.
  void warm() const;
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  struct Key {
    PlaceIndex place = 0;
    Room room;
    PlaceIndex back = 0;  // of what is behind: where the first thread's unit comes back to
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& k) const noexcept {
      auto h = (std::uint64_t{k.place} << 32U ^ std::uint64_t{k.room.to_least} << 16U ^ k.room.to_most ^
                std::uint64_t{k.back} * 0xD6E8FEB86659FD93ULL) *
               0x9E3779B97F4A7C15ULL;
      return h ^ (h >> 32U);
    }
  };
  [[nodiscard]] Key key_of(Thread t) const;
  [[nodiscard]] Key key_of(Thread t, const Stacks& stacks) const;

  Network net_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  Rooms rooms_;
  std::vector<std::uint32_t> weights_;  // by place
  mutable std::mutex mutex_;
  mutable std::unordered_map<Key, std::shared_ptr<const PlaceMask>, Hash> masks_;
  mutable std::size_t mask_bytes_ = 0;
  mutable std::unordered_map<Key, std::vector<std::shared_ptr<const Behind>>, Hash> behind_;
  mutable std::size_t behind_bytes_ = 0;
};

struct Automaton::Impl {
  Impl(Network network, std::shared_ptr<const Vocabulary> vocabulary)
      : compiled(std::move(network), std::move(vocabulary)) {}
  Compiled compiled;
};

/// Scratch of this thread, for one walk at a time.
[[nodiscard]] Walk& thread_walk();

}  // namespace sluice::text::grammar
