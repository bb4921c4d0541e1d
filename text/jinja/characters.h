#pragma once
// Characters as Python's str knows them (Unicode 14, Python 3.11), on UTF-8. Lone surrogates, which a template's
// escapes can make, are three bytes as in WTF-8; other ill-formed bytes come one by one. Pure functions, thread-safe.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::text::jinja {

struct Character {
  char32_t code = 0;
  std::uint8_t length = 1;
};
/// The character at byte i, which is inside s.
[[nodiscard]] Character character_at(std::string_view s, std::size_t i) noexcept;
/// Where the last character of a non-empty string begins.
[[nodiscard]] std::size_t last_character(std::string_view s) noexcept;
[[nodiscard]] std::size_t character_count(std::string_view s) noexcept;
/// The byte at which character n begins; s.size() past its end.
[[nodiscard]] std::size_t byte_of(std::string_view s, std::size_t n) noexcept;
/// append_utf8 that takes surrogates too.
void append_character(std::string& out, char32_t c);

enum class Property { alpha, decimal, digit, numeric, lower, upper, title, unprintable, case_ignorable };
[[nodiscard]] bool has(Property p, char32_t c) noexcept;
/// str.isspace() of one character.
[[nodiscard]] bool is_py_space(char32_t c) noexcept;
/// int() of one character.
[[nodiscard]] std::optional<int> decimal_value(char32_t c) noexcept;

enum class Case { upper, lower, title, fold };
/// Its full mapping; of lower case without the rule for a final sigma.
void append_mapped(std::string& out, char32_t c, Case to);

/// What \N{NAME} stands for, of the characters that have a name here.
[[nodiscard]] std::optional<char32_t> named_character(std::string_view name);

}  // namespace sluice::text::jinja
