#pragma once
// UTF-8 and the four Unicode normal forms, as the tokenizer needs them. Pure functions, thread-safe; time is
// O(n log n) in the input whatever the input holds.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::text {

inline constexpr std::string_view kReplacementChar = "\xEF\xBF\xBD";  // U+FFFD

/// One step of decoding: `length` bytes at the front of the input are a code point, or (valid == false) the
/// longest prefix of an ill-formed sequence that Unicode recommends to replace by one U+FFFD.
struct Utf8Step {
  char32_t code_point = 0;
  std::uint8_t length = 0;  // 1..4; 0 only for empty input
  bool valid = false;
  bool truncated = false;  // not valid only because the input ended inside a sequence
};
[[nodiscard]] Utf8Step utf8_step(std::string_view s) noexcept;

/// Length in bytes of the longest well-formed prefix.
[[nodiscard]] std::size_t utf8_valid_prefix(std::string_view s) noexcept;

/// Where the last character begins of `s`, which is well-formed and not empty.
[[nodiscard]] std::size_t utf8_last_start(std::string_view s) noexcept;

/// `s` with each maximal ill-formed subsequence replaced by U+FFFD: what Rust's String::from_utf8_lossy and
/// every browser do.
[[nodiscard]] std::string utf8_lossy(std::string_view s);

void append_utf8(std::string& out, char32_t code_point);

/// The White_Space property (Rust's char::is_whitespace).
[[nodiscard]] bool is_white_space(char32_t c) noexcept;

/// What \w matches in Rust's regex: letters, marks, decimal digits, connectors, joiners.
[[nodiscard]] bool is_word_char(char32_t c) noexcept;

/// Rust's char::to_lowercase, character by character. `s` is well-formed.
[[nodiscard]] std::string to_lower(std::string_view s);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// `s` is well-formed. Characters newer than the Unicode version of the reference tokenizer stay as they are.
[[nodiscard]] std::string normalize(std::string_view s, NormalForm form);

}  // namespace sluice::text
