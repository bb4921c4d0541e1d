#pragma once
// Character classes and the four Unicode normal forms, as the tokenizer needs them; UTF-8 itself is common/utf8.h.
// Pure functions, thread-safe; time is O(n log n) in the input whatever the input holds.
#include <string>
#include <string_view>

namespace sluice::text {

/// The White_Space property (Rust's char::is_whitespace).
[[nodiscard]] bool is_white_space(char32_t c) noexcept;

/// Rust's char::to_lowercase, character by character. `s` is well-formed.
[[nodiscard]] std::string to_lower(std::string_view s);

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// `s` is well-formed. Characters newer than the Unicode version of the reference tokenizer stay as they are.
[[nodiscard]] std::string normalize(std::string_view s, NormalForm form);

}  // namespace sluice::text
