#include "text/jinja/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstring>
#include <span>

#include "common/utf8.h"
#include "text/unicode/unicode.h"

namespace sluice::text::jinja {

namespace {

struct Range {
  char32_t first, last;
};
struct Mapping {
  char32_t from;
  std::array<char32_t, 3> to;  // up to the first 0
};
struct Named {
  std::string_view name;
  char32_t code;
};

#include "text/jinja/character_names.inc"
#include "text/jinja/python_characters.inc"

const Range* range_of(std::span<const Range> ranges, char32_t c) noexcept {
  const auto after = std::ranges::upper_bound(ranges, c, {}, &Range::first);
  if (after == ranges.begin() || (after - 1)->last < c) return nullptr;
  return &*(after - 1);
}

std::span<const Range> ranges(Property p) noexcept {
  switch (p) {
    case Property::alpha:
      return kAlpha;
    case Property::decimal:
      return kDecimal;
    case Property::digit:
      return kDigit;
    case Property::numeric:
      return kNumeric;
    case Property::lower:
      return kLower;
    case Property::upper:
      return kUpper;
    case Property::title:
      return kTitle;
    case Property::unprintable:
      return kUnprintable;
    case Property::case_ignorable:
      return kCaseIgnorable;
  }
  return {};
}

char32_t simple(char32_t c, Case to) noexcept {
  const auto i = static_cast<utf8proc_int32_t>(c);
  switch (to) {
    case Case::upper:
      return static_cast<char32_t>(utf8proc_toupper(i));
    case Case::title:
      return static_cast<char32_t>(utf8proc_totitle(i));
    default:
      return static_cast<char32_t>(utf8proc_tolower(i));
  }
}

std::span<const Mapping> special(Case to) noexcept {
  switch (to) {
    case Case::upper:
      return kUpperCase;
    case Case::lower:
      return kLowerCase;
    case Case::title:
      return kTitleCase;
    case Case::fold:
      return kFoldCase;
  }
  return {};
}

/// A byte that begins a character.
bool starts(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

/// How many of eight bytes do.
constexpr std::size_t kWord = 8;
std::size_t starts_in_word(const char* p) noexcept {
  std::uint64_t w = 0;
  std::memcpy(&w, p, kWord);
  const std::uint64_t within = (w >> 7) & ~(w >> 6) & 0x0101010101010101ULL;  // 10xxxxxx
  return kWord - static_cast<std::size_t>(std::popcount(within));
}

bool surrogate(std::string_view s, std::size_t i) noexcept {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(s[i + k]); };
  return i + 2 < s.size() && byte(0) == 0xED && byte(1) >= 0xA0 && byte(1) <= 0xBF && (byte(2) & 0xC0) == 0x80;
}

}  // namespace

Character character_at(std::string_view s, std::size_t i) noexcept {
  const auto first = static_cast<unsigned char>(s[i]);
  if (first < 0x80) return {first, 1};
  const Utf8Step step = utf8_step(s.substr(i, 4));
  if (step.valid) return {step.code_point, step.length};
  if (surrogate(s, i)) return {static_cast<char32_t>(0xD000 | ((s[i + 1] & 0x3F) << 6) | (s[i + 2] & 0x3F)), 3};
  return {0xFFFD, 1};
}

std::size_t last_character(std::string_view s) noexcept {
  std::size_t i = s.size() - 1;
  while (i > 0 && s.size() - i < 4 && (static_cast<unsigned char>(s[i]) & 0xC0) == 0x80) --i;
  return i + character_at(s, i).length == s.size() ? i : s.size() - 1;
}

std::size_t character_count(std::string_view s) noexcept {
  std::size_t n = 0;
  std::size_t i = 0;
  for (; i + kWord <= s.size(); i += kWord) n += starts_in_word(s.data() + i);
  for (; i < s.size(); ++i) n += starts(s[i]) ? 1 : 0;
  return n;
}

std::size_t byte_of(std::string_view s, std::size_t n) noexcept {
  std::size_t i = 0;
  for (; i + kWord <= s.size(); i += kWord) {
    const std::size_t more = starts_in_word(s.data() + i);
    if (more > n) break;
    n -= more;
  }
  for (; i < s.size(); ++i)
    if (starts(s[i]) && n-- == 0) break;
  return i;
}

void append_character(std::string& out, char32_t c) {
  if (c < 0xD800 || c > 0xDFFF) return append_utf8(out, c);
  out += '\xED';
  out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
  out += static_cast<char>(0x80 | (c & 0x3F));
}

bool has(Property p, char32_t c) noexcept {
  if (c >= 0xD800 && c <= 0xDFFF) return p == Property::unprintable;
  return range_of(ranges(p), c) != nullptr;
}

bool is_py_space(char32_t c) noexcept {
  if (c < 0x80) return c == U' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return is_white_space(c);
}

std::optional<int> decimal_value(char32_t c) noexcept {
  if (c >= U'0' && c <= U'9') return static_cast<int>(c - U'0');
  const Range* r = range_of(kDecimal, c);  // each holds whole runs of 0 to 9
  if (r == nullptr) return std::nullopt;
  return static_cast<int>((c - r->first) % 10);
}

void append_mapped(std::string& out, char32_t c, Case to) {
  if (c < 0x80) {
    const int ascii = static_cast<int>(c);
    out += static_cast<char>(to == Case::upper || to == Case::title ? std::toupper(ascii) : std::tolower(ascii));
    return;
  }
  if (c >= 0xD800 && c <= 0xDFFF) return append_character(out, c);
  const auto table = special(to);
  const auto found = std::ranges::lower_bound(table, c, {}, &Mapping::from);
  if (found == table.end() || found->from != c) return append_utf8(out, simple(c, to));
  for (const char32_t m : found->to)
    if (m != 0) append_utf8(out, m);
}

std::optional<char32_t> named_character(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto found = std::ranges::lower_bound(kNames, std::string_view(upper), {}, &Named::name);
  if (found == std::end(kNames) || found->name != upper) return std::nullopt;
  return found->code;
}

}  // namespace sluice::text::jinja
