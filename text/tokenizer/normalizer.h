#pragma once
// The "normalizer" of tokenizer.json: what is done to a text before it is split and encoded. Const and thread-safe.
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex/regex.h"
#include "text/tokenizer/tokenizer_json.h"
#include "text/unicode/unicode.h"

namespace sluice::text {

class Normalizer {
 public:
  Normalizer() = default;
  /// Throws LoadError on a kind it does not know.
  explicit Normalizer(const JsonItem& spec);

  /// `s` is well-formed UTF-8, and so is the result.
  [[nodiscard]] Result<std::string> apply(std::string s, MatchBudget& budget) const;

  /// How short a text may become: to no less than 1/factor of its bytes (all of them, or those that are not white
  /// space). 0: a step may delete what it likes.
  [[nodiscard]] std::size_t shrink_factor() const;
  /// Of a text's characters below U+0300 no byte is lost: what they are composed with makes longer ones.
  [[nodiscard]] bool keeps_latin() const;
  /// White space may vanish altogether.
  [[nodiscard]] bool strips_spaces() const;

 private:
  struct Prepend {
    std::string text;
  };
  struct Replace {
    Regex pattern;
    std::string by;
    bool shrinks;  // may leave less than it takes
  };
  struct Strip {
    bool left;
    bool right;
  };
  struct Lowercase {};
  std::vector<std::variant<NormalForm, Prepend, Replace, Strip, Lowercase>> steps_;
};

/// A {"String": ...} or {"Regex": ...} pattern, as Replace and Split have it. Throws LoadError.
[[nodiscard]] Regex read_pattern(const JsonItem& pattern);

/// `s` with every match of `pattern` replaced.
[[nodiscard]] Result<std::string> replace_all(std::string_view s, const Regex& pattern, std::string_view by,
                                              MatchBudget& budget);

}  // namespace sluice::text
