#pragma once
// The regular expressions of tokenizer.json, run by PCRE2 with Oniguruma's meaning.
//
// Hugging Face's tokenizers run these patterns with Oniguruma. The dialects agree on most of what the patterns use;
// where they differ (what \s, \w, \h and \v are) the pattern is rewritten, and what can't be carried over exactly is
// refused at load, so a model never gets silently different token ids.
//
// Threading: const and thread-safe after compile(). Matching never recurses on the stack of the caller and is
// bounded by PCRE2's match limit.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace sluice::text {

/// Half-open byte range of a string.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] std::string_view of(std::string_view s) const { return s.substr(begin, end - begin); }
};

class Regex {
 public:
  /// `pattern` in Oniguruma's syntax.
  [[nodiscard]] static Result<Regex> compile(std::string_view pattern);
  /// A pattern that matches exactly `text`.
  [[nodiscard]] static Result<Regex> literal(std::string_view text);

  /// All matches in `s`, left to right, not overlapping. `s` must be well-formed UTF-8. Fails with
  /// resource_exhausted if the pattern backtracks past the limit.
  [[nodiscard]] Result<> find_all(std::string_view s, std::vector<ByteRange>& out) const;

 private:
  struct Code;
  [[nodiscard]] static Result<Regex> compile_pcre(const std::string& pattern, std::string_view shown);
  std::shared_ptr<const Code> code_;
};

}  // namespace sluice::text
