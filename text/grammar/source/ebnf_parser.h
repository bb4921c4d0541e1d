#pragma once
// What the two spellings of EBNF share: a place in the text, names of rules, escapes, and the building of a grammar.
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/result.h"
#include "text/grammar/sources.h"

namespace sluice::text::grammar {

class EbnfReader {
 public:
  EbnfReader(std::string_view text, const GrammarLimits& limits) : in(text), limits_(limits) {}

  std::string_view in;
  std::size_t at = 0;
  Grammar grammar;

  [[nodiscard]] bool done() const { return at >= in.size(); }
  [[nodiscard]] char peek(std::size_t n = 0) const { return at + n < in.size() ? in[at + n] : '\0'; }
  [[nodiscard]] bool eat(std::string_view s);
  /// Past white space, line ends and comments, which begin with one of these.
  void skip(std::string_view comment, std::string_view other_comment = "#");
  /// A name of letters, digits and these; empty where there is none.
  [[nodiscard]] std::string_view name(std::string_view also);
  [[nodiscard]] std::optional<std::uint32_t> number();
  /// One character, or an escape that stands for one.
  [[nodiscard]] Result<char32_t> character();
  /// `at` is at its opening quote. "i" after it is left to the caller.
  [[nodiscard]] Result<std::string> quoted();

  [[nodiscard]] Result<NodeIndex> repeat(NodeIndex what, std::optional<std::uint32_t> least,
                                         std::optional<std::uint32_t> most);
  [[nodiscard]] RuleIndex rule(std::string_view name);
  [[nodiscard]] Result<> define(std::string_view name, NodeIndex body);
  /// The finished grammar, whose start is the rule of this name.
  [[nodiscard]] Result<Grammar> finish(std::string_view start);
  [[nodiscard]] Result<> room() const;

  [[nodiscard]] std::unexpected<Error> wrong(std::string_view what) const;
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view what) const;
  [[nodiscard]] const GrammarLimits& limits() const { return limits_; }

 private:
  [[nodiscard]] std::size_t line() const;
  const GrammarLimits& limits_;
  std::unordered_map<std::string, RuleIndex> rules_;
};

/// A rule's body: ways with "|" between them, each a sequence of items that may repeat. Both spellings cut it so; how a
/// comment, an item and a repetition look is each one's own.
class EbnfBodies {
 protected:
  EbnfBodies(std::string_view text, const GrammarLimits& limits) : r_(text, limits) {}
  ~EbnfBodies() = default;

  [[nodiscard]] Result<NodeIndex> choice(std::size_t depth);

  virtual void skip() = 0;
  /// Nothing at the end of the sequence.
  [[nodiscard]] virtual Result<std::optional<NodeIndex>> item(std::size_t depth) = 0;
  [[nodiscard]] virtual Result<NodeIndex> repeats(NodeIndex what) = 0;
  /// What may stand behind a way.
  [[nodiscard]] virtual Result<> way_ended() { return {}; }

  EbnfReader r_;

 private:
  [[nodiscard]] Result<NodeIndex> sequence(std::size_t depth);
};

/// Lark's spelling (`start: ...`).
[[nodiscard]] Result<Grammar> from_lark(std::string_view text, const GrammarLimits& limits);

}  // namespace sluice::text::grammar
