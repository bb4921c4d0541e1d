#pragma once
// How the characters of a value are written in the text: as they are, or as inside a JSON string, where some are
// escaped. Regular expressions, formats and names speak about values; the grammar is about the text.
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "text/grammar/grammar.h"

namespace sluice::text::grammar {

class Spelling {
 public:
  explicit Spelling(Grammar& grammar) : grammar_(grammar) {}
  Spelling(const Spelling&) = delete;
  Spelling& operator=(const Spelling&) = delete;
  virtual ~Spelling() = default;

  [[nodiscard]] Grammar& grammar() const { return grammar_; }
  /// One character of `set`; the same node for the same set.
  [[nodiscard]] NodeIndex one_of(const CodePointSet& set);
  /// Exactly this text.
  [[nodiscard]] virtual NodeIndex text(std::string_view value) = 0;

 protected:
  [[nodiscard]] virtual NodeIndex spell(const CodePointSet& set) = 0;

 private:
  Grammar& grammar_;
  std::map<std::u32string, NodeIndex> made_;  // by the ends of the set's ranges
};

/// Characters stand for themselves.
class PlainSpelling final : public Spelling {
 public:
  using Spelling::Spelling;
  [[nodiscard]] NodeIndex text(std::string_view value) override { return grammar().literal(value); }

 private:
  [[nodiscard]] NodeIndex spell(const CodePointSet& set) override { return grammar().chars(set); }
};

/// As inside the quotes of a JSON string. A character is written as it is where JSON allows it, and escaped in the
/// shortest way where it must be. A set that holds all characters may also be written with any escape, and one that
/// holds all beyond ASCII with \uHHHH for those (what writers of pure ASCII do).
class JsonSpelling final : public Spelling {
 public:
  using Spelling::Spelling;
  [[nodiscard]] NodeIndex text(std::string_view value) override;

 private:
  [[nodiscard]] NodeIndex spell(const CodePointSet& set) override;
  [[nodiscard]] NodeIndex any_escape();
  [[nodiscard]] NodeIndex escape_beyond_ascii();
  [[nodiscard]] NodeIndex hex_digits(std::string_view ranges, std::uint32_t more);

  std::optional<NodeIndex> beyond_ascii_;
};

/// `value` as json.dumps writes it inside quotes, characters beyond ASCII as they are.
[[nodiscard]] std::string json_escaped(std::string_view value);

}  // namespace sluice::text::grammar
