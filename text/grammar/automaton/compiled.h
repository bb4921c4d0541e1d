#pragma once
// What Automaton holds: the network, and the masks of places made so far. Masks are made when first asked for and kept
// within a bound. Threading: everything but the masks is const; those have a lock, which is not held while one is made.
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

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
  /// The mask of a thread's place and count.
  [[nodiscard]] std::shared_ptr<const PlaceMask> mask(Thread t) const;
  /// Both have the same one.
  [[nodiscard]] bool same_mask(Thread a, Thread b) const { return key_of(a) == key_of(b); }
  /// Nodes of the tree of tokens below the bytes that a place reads: at most so many a walk from it visits.
  [[nodiscard]] std::uint32_t weight(PlaceIndex p) const { return weights_[p]; }
  /// Makes the masks that cost most, some of them.
  void warm() const;
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  /// What of a count decides about a token: how far it is from the bounds, if a token can get there.
  struct Key {
    PlaceIndex place = 0;
    std::uint32_t to_least = 0, to_most = 0;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& k) const noexcept {
      auto h = (std::uint64_t{k.place} << 32U ^ std::uint64_t{k.to_least} << 16U ^ k.to_most) * 0x9E3779B97F4A7C15ULL;
      return h ^ (h >> 32U);
    }
  };
  [[nodiscard]] Key key_of(Thread t) const;

  Network net_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::vector<std::uint32_t> weights_;  // by place
  mutable std::mutex mutex_;
  mutable std::unordered_map<Key, std::shared_ptr<const PlaceMask>, Hash> masks_;
  mutable std::size_t mask_bytes_ = 0;
};

struct Automaton::Impl {
  Impl(Network network, std::shared_ptr<const Vocabulary> vocabulary)
      : compiled(std::move(network), std::move(vocabulary)) {}
  Compiled compiled;
};

/// Scratch of this thread, for one walk at a time.
[[nodiscard]] Walk& thread_walk();

}  // namespace sluice::text::grammar
