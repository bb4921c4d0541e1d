#pragma once
// Which tokens may come next. An Automaton is a grammar compiled for a vocabulary: a byte-level pushdown automaton with
// the masks that depend on nothing but the place in the grammar. A Matcher is one answer's state in it.
//
// Threading: an Automaton is shared and const but for its internal cache, which locks; a Matcher is one thread's at a
// time. The state after a list of tokens is a function of those tokens alone: a resumed answer accepts what was sent
// and goes on as the first one would have. Failure: compile() refuses what is too large, by name; a Matcher never
// fails.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/vocabulary.h"

namespace sluice::text::grammar {

class Automaton {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const Automaton>> compile(const Grammar& grammar,
                                                                        std::shared_ptr<const Vocabulary> vocabulary,
                                                                        const GrammarLimits& limits = {});
  /// What compile() refuses is refused here, too, without a vocabulary and at less cost: for who reads a stranger's
  /// grammar before somebody else compiles it.
  [[nodiscard]] static Result<> check(const Grammar& grammar, const GrammarLimits& limits = {});
  ~Automaton();
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  friend class Matcher;
  struct Impl;
  explicit Automaton(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Automaton> automaton);
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;
  ~Matcher();

  /// bits: [Vocabulary::mask_words()], bit id % 64 of word id / 64; every word is written. End tokens are in it where
  /// the text may end here.
  void fill(std::span<std::uint64_t> bits) const;
  /// False: this token may not come here, and nothing changed. After an end token nothing may.
  [[nodiscard]] bool accept(TokenId token);
  [[nodiscard]] bool accept_text(std::string_view bytes);
  /// The text so far is a whole one.
  [[nodiscard]] bool may_end() const;
  /// ... and no other continues it: nothing but an end token may come.
  [[nodiscard]] bool must_end() const;
  /// The bytes that any continuation begins with, at most so many; "" where there is a choice or the text may end.
  [[nodiscard]] std::string forced(std::size_t most) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::text::grammar
