#pragma once
// A deterministic automaton over code points: for what a grammar cannot say by itself, where two languages meet or one
// is left out (a pattern and a length, a name that is none of those listed, multiples within bounds).
//
// A value. Sizes are bounded: what would grow beyond kMaxStates is refused, whatever the input.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "text/grammar/source/spelling.h"
#include "text/regex/syntax.h"

namespace sluice::text::grammar {

class Dfa {
 public:
  using State = std::uint32_t;
  static constexpr State kNone = 0xFFFFFFFF;
  static constexpr std::size_t kMaxStates = 4096;

  /// No text at all, over these disjoint sets of characters: states are added, the first is where a text begins.
  explicit Dfa(std::vector<CodePointSet> classes) : classes_(std::move(classes)) {}

  /// Any text of so many characters (most may be Node::kUnbounded).
  [[nodiscard]] static Result<Dfa> length(std::uint64_t least, std::uint64_t most);
  /// One of these texts.
  [[nodiscard]] static Result<Dfa> texts(std::span<const std::string> texts);
  /// Texts that the expression matches: the whole of them, or a part (`anywhere`). `steps` bounds the work.
  [[nodiscard]] static Result<Dfa> of(const regex::Node& tree, bool anywhere, std::size_t steps = 2'000'000);

  [[nodiscard]] static Result<Dfa> both(const Dfa& a, const Dfa& b);
  [[nodiscard]] Dfa complement() const;
  [[nodiscard]] bool empty() const;
  [[nodiscard]] bool matches(std::string_view text) const;
  [[nodiscard]] std::size_t states() const { return accepts_.size(); }

  State add_state(bool accepts);
  void set_next(State from, std::size_t character_class, State to) {
    next_[from * classes_.size() + character_class] = to;
  }
  [[nodiscard]] State next(State from, std::size_t character_class) const {
    return next_[from * classes_.size() + character_class];
  }
  [[nodiscard]] bool accepts(State s) const { return accepts_[s]; }
  [[nodiscard]] const std::vector<CodePointSet>& classes() const { return classes_; }

  /// Without states that no text reaches or that reach no end, and with those that mean the same made one.
  [[nodiscard]] Dfa tidied() const;

 private:
  [[nodiscard]] Dfa trimmed() const;
  [[nodiscard]] Dfa merged() const;

  std::vector<CodePointSet> classes_;
  std::vector<State> next_;  // [states, classes]
  std::vector<bool> accepts_;
};

/// The coarsest disjoint sets of which all of `sets` are unions, and what is in none of them; without surrogates.
[[nodiscard]] std::vector<CodePointSet> character_classes(std::span<const CodePointSet> sets);

/// The automaton as rules of the grammar, characters spelled by `spelling`.
[[nodiscard]] NodeIndex add_dfa(const Dfa& dfa, Spelling& spelling, const std::string& name);

}  // namespace sluice::text::grammar
