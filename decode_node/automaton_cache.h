#pragma once
// Compiled grammars by their text, and the refusals of those that could not be: the one used longest ago goes first.
// Looked up by a digest that nobody can make two texts share, and compared all the same.
//
// Not thread-safe: Automata guards it. Answers in progress keep their automaton when it goes from here.
#include <array>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "common/result.h"
#include "common/shared_text.h"
#include "text/grammar/matcher.h"

namespace sluice::decode {

using AutomatonPtr = std::shared_ptr<const text::grammar::Automaton>;
using Compiled = Result<AutomatonPtr>;
using GrammarKey = std::array<unsigned char, 16>;

[[nodiscard]] GrammarKey key_of(const SharedText& grammar);

class AutomatonCache {
 public:
  explicit AutomatonCache(std::size_t most_bytes, std::size_t most_entries = 1024)
      : most_bytes_(most_bytes), most_entries_(most_entries) {}
  [[nodiscard]] std::optional<Compiled> find(const GrammarKey& key, const SharedText& grammar);
  /// The last one put stays, however large.
  void put(const GrammarKey& key, SharedText grammar, Compiled compiled);
  /// Of texts and automata as they are now: these grow as masks are worked out.
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }

 private:
  struct Entry {
    GrammarKey key;
    SharedText grammar;
    Compiled compiled;
  };
  using Entries = std::list<Entry>;

  std::size_t most_bytes_, most_entries_;
  Entries entries_;  // used last first
  std::map<GrammarKey, Entries::iterator> by_key_;
};

}  // namespace sluice::decode
