#pragma once
// The regular expressions of tokenizer.json: Oniguruma's dialect with the Unicode data of the reference tokenizer, run
// by a machine of our own whose work is counted (docs/adr/0006-regex-engine-of-the-tokenizer.md says why).
//
// A pattern that Oniguruma refuses, or that asks for what is not known here, is refused at load, so a model never gets
// silently different token ids.
//
// Threading: const and thread-safe after compile(). Failure: a match that would take more steps than its budget is an
// error; nothing throws, and the stack of the caller is used to a bounded depth.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::text {

class CodePointSet;
namespace regex {
struct Node;
}

/// Half-open byte range of a string.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::string_view of(std::string_view s) const { return s.substr(begin, end - begin); }
};

/// How much work the patterns may do on one text, all of them together: honest ones need a few steps for each byte, and
/// runs of characters are linear. What is spent is gone.
struct MatchBudget {
  static constexpr std::uint64_t kPerByte = 64;
  static constexpr std::uint64_t kBase =
      50'000'000;  // patterns that are quadratic in the length of a run may have some
  explicit MatchBudget(std::size_t bytes) : steps(kBase + kPerByte * bytes) {}
  std::uint64_t steps;
};

class Regex {
 public:
  /// `pattern` in Oniguruma's syntax.
  [[nodiscard]] static Result<Regex> compile(std::string_view pattern);
  /// A pattern that matches exactly `text`, which is not empty.
  [[nodiscard]] static Result<Regex> literal(std::string_view text);
  /// A pattern that matches each character of `set`.
  [[nodiscard]] static Result<Regex> one_of(const CodePointSet& set);

  /// Appends all matches in `s`, left to right, not overlapping. `s` must be well-formed UTF-8 of less than 4 GiB.
  /// Fails with invalid_argument if that takes more than the budget: the text is at fault, and a retry won't help.
  [[nodiscard]] Result<> find_all(std::string_view s, std::vector<ByteRange>& out, MatchBudget& budget) const;

 private:
  struct Code;
  [[nodiscard]] static Result<Regex> from_tree(const regex::Node& tree, std::string_view shown);
  std::shared_ptr<const Code> code_;
};

}  // namespace sluice::text
