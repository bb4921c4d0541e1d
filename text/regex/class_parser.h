#pragma once
// The parts of a pattern that stand for sets of characters: escapes like \p{L}, and classes in brackets.
#include <optional>
#include <string_view>

#include "common/result.h"
#include "text/unicode/code_point_set.h"

namespace sluice::text::regex {

/// A pattern and how far it is read; shared by the parsers.
struct Cursor {
  std::string_view in;
  std::size_t at = 0;

  [[nodiscard]] bool done() const noexcept { return at >= in.size(); }
  /// The byte `n` further on; 0 past the end.
  [[nodiscard]] char peek(std::size_t n = 0) const noexcept { return at + n < in.size() ? in[at + n] : '\0'; }
  [[nodiscard]] bool eat(std::string_view s) noexcept {
    if (!in.substr(at).starts_with(s)) return false;
    at += s.size();
    return true;
  }
  /// The character here, which is passed.
  char32_t take();
  [[nodiscard]] std::unexpected<Error> refuse(std::string_view what) const {
    return fail(Errc::unsupported, "{} at byte {} is not supported", what, at);
  }
  [[nodiscard]] std::unexpected<Error> broken(std::string_view what) const {
    return fail(Errc::invalid_argument, "{} at byte {}", what, at);
  }
};

/// What an escape stands for: one character or a set.
struct Escape {
  std::optional<char32_t> character;
  CodePointSet set;
};

/// Reads an escape that stands for characters; `c` is at the backslash.
[[nodiscard]] Result<Escape> parse_escape(Cursor& c, bool in_class);

/// Reads a class; `c` is at its '['.
[[nodiscard]] Result<CodePointSet> parse_class(Cursor& c, bool ignore_case, int depth = 0);

/// `set` with the other case of its ASCII letters, and of the two letters beyond ASCII that fold to one (long s, Kelvin
/// sign). Nothing if it holds other letters with case: their folding is not known here.
[[nodiscard]] std::optional<CodePointSet> both_cases(CodePointSet set);

}  // namespace sluice::text::regex
