#pragma once
// UTF-8, decoded strictly and mended as Unicode recommends. Pure functions, thread-safe; they never fail, whatever the
// bytes are; time is O(n).
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

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

/// The front of `s`: whole characters, at most `bytes` of them in bytes.
[[nodiscard]] std::string_view clip_utf8(std::string_view s, std::size_t bytes) noexcept;

void append_utf8(std::string& out, char32_t code_point);

}  // namespace sluice
