#include "text/regex/class_parser.h"

#include <algorithm>
#include <charconv>

#include "common/utf8.h"
#include "text/unicode/properties.h"

namespace sluice::text::regex {
namespace {

constexpr int kMaxDepth = 16;  // classes in classes

bool is_hex(char c) noexcept { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

Escape one(char32_t c) { return {c, {}}; }

Escape property(std::string_view name, bool negative) {
  auto set = *unicode_property(name);
  return {std::nullopt, negative ? set.complement() : std::move(set)};
}

Result<Escape> code_point(Cursor& c, std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (ec != std::errc() || end != digits.data() + digits.size() || value > CodePointSet::kMax ||
      (value >= 0xD800 && value < 0xE000))
    return c.broken("a code point that is none");
  return one(value);
}

Result<Escape> property_escape(Cursor& c) {
  const bool upper = c.peek(1) == 'P';
  const auto close = c.in.find('}', c.at);
  if (c.peek(2) != '{' || close == std::string_view::npos) return c.refuse("a property without braces");
  auto name = c.in.substr(c.at + 3, close - c.at - 3);
  const bool caret = name.starts_with('^');
  if (caret) name.remove_prefix(1);
  auto set = unicode_property(name);
  if (!set) return c.refuse(fmt::format("the property \"{}\"", name));
  c.at = close + 1;
  return Escape{std::nullopt, upper != caret ? set->complement() : *std::move(set)};
}

/// \xHH, \x{H...} or \uHHHH.
Result<Escape> hex_escape(Cursor& c) {
  std::string_view digits;
  if (c.peek(1) == 'u') {
    digits = c.in.substr(c.at + 2, 4);
    if (digits.size() < 4 || !std::ranges::all_of(digits, is_hex)) return c.refuse("\\u without four digits");
    c.at += 6;
    return code_point(c, digits);
  }
  if (c.peek(2) == '{') {
    const auto close = c.in.find('}', c.at);
    if (close == std::string_view::npos) return c.broken("\\x{ without its }");
    digits = c.in.substr(c.at + 3, close - c.at - 3);
    if (digits.empty() || !std::ranges::all_of(digits, is_hex)) return c.refuse("\\x{} that is not one code point");
    c.at = close + 1;
    return code_point(c, digits);
  }
  digits = c.in.substr(c.at + 2, 2);
  if (digits.size() < 2 || !std::ranges::all_of(digits, is_hex)) return c.refuse("\\x without two digits");
  if (digits[0] > '7') return c.refuse("\\x with a byte that is not ASCII");
  c.at += 4;
  return code_point(c, digits);
}

/// A member of a class, and whether it may begin a range.
struct Item {
  CodePointSet set;
  std::optional<char32_t> character;
};

Result<Item> parse_item(Cursor& c, bool ignore_case, int depth) {
  if (c.peek() == '[') {
    if (c.peek(1) == ':') {
      const auto close = c.in.find(":]", c.at + 2);
      if (close == std::string_view::npos) return c.refuse("[: without its :]");
      auto name = c.in.substr(c.at + 2, close - c.at - 2);
      const bool negative = name.starts_with('^');
      if (negative) name.remove_prefix(1);
      auto set = posix_class(name);
      if (!set) return c.refuse(fmt::format("the class [:{}:]", name));
      c.at = close + 2;
      return Item{negative ? set->complement() : *std::move(set), std::nullopt};
    }
    SLUICE_ASSIGN(auto set, parse_class(c, ignore_case, depth + 1));
    return Item{std::move(set), std::nullopt};
  }
  if (c.peek() == '\\') {
    SLUICE_ASSIGN(auto escape, parse_escape(c, true));
    if (escape.character) return Item{CodePointSet(*escape.character, *escape.character), escape.character};
    return Item{std::move(escape.set), std::nullopt};
  }
  const auto character = c.take();
  return Item{CodePointSet(character, character), character};
}

/// Members up to "&&" or ']'.
Result<CodePointSet> parse_members(Cursor& c, bool ignore_case, int depth) {
  CodePointSet out;
  bool first = true;
  for (; !c.done() && c.peek() != ']' && !c.in.substr(c.at).starts_with("&&"); first = false) {
    if (!first && c.peek() == '-' && c.peek(1) != ']') return c.refuse("'-' in the midst of a class");
    SLUICE_ASSIGN(const auto low, parse_item(c, ignore_case, depth));
    if (c.peek() != '-' || c.peek(1) == ']' || c.peek(1) == '\0') {
      out |= low.set;
      continue;
    }
    if (!low.character || c.in.substr(c.at).starts_with("-&&")) return c.refuse("'-' in the midst of a class");
    ++c.at;
    if (c.peek() == '[') return c.refuse("a range that ends in a class");
    SLUICE_ASSIGN(const auto high, parse_item(c, ignore_case, depth));
    if (!high.character) return c.refuse("a range that ends in a class");
    if (*high.character < *low.character) return c.broken("a range whose end is before its begin");
    out.add(*low.character, *high.character);
  }
  return out;
}

}  // namespace

char32_t Cursor::take() {
  const auto step = utf8_step(in.substr(at));
  at += step.length;
  return step.code_point;
}

Result<Escape> parse_escape(Cursor& c, bool in_class) {
  switch (const char e = c.peek(1)) {
    case 'p':
    case 'P':
      return property_escape(c);
    case 'x':
    case 'u':
      return hex_escape(c);
    case 's':
    case 'S':
      c.at += 2;
      return property("space", e == 'S');
    case 'd':
    case 'D':
      c.at += 2;
      return property("digit", e == 'D');
    case 'h':
    case 'H':
      c.at += 2;
      return property("xdigit", e == 'H');
    case 'w':
    case 'W': {
      c.at += 2;
      auto word = in_class ? *posix_class("word") : *unicode_property("word");
      return Escape{std::nullopt, e == 'W' ? word.complement() : std::move(word)};
    }
    case 'n':
      c.at += 2;
      return one('\n');
    case 't':
      c.at += 2;
      return one('\t');
    case 'r':
      c.at += 2;
      return one('\r');
    case 'f':
      c.at += 2;
      return one('\f');
    case 'v':
      c.at += 2;
      return one('\v');
    case 'a':
      c.at += 2;
      return one('\a');
    case 'e':
      c.at += 2;
      return one(0x1B);
    case '\0':
      return c.broken("a trailing backslash");
    default:
      if ((e >= '0' && e <= '9') || (e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z'))
        return c.refuse(fmt::format("\\{}", e));
      ++c.at;
      return one(c.take());
  }
}

Result<CodePointSet> parse_class(Cursor& c, bool ignore_case, int depth) {
  if (depth > kMaxDepth) return c.refuse("a class nested this deep");
  ++c.at;
  const bool negative = c.eat("^");
  if (c.peek() == ']') return c.refuse("']' first in a class");
  std::optional<CodePointSet> out;
  do {
    SLUICE_ASSIGN(auto part, parse_members(c, ignore_case, depth));
    if (out)
      *out &= part;
    else
      out = std::move(part);
  } while (c.eat("&&"));
  if (!c.eat("]")) return c.broken("a class without its ']'");
  if (ignore_case) {
    out = both_cases(*std::move(out));
    if (!out) return c.refuse("a class with case beyond ASCII under (?i)");
  }
  return negative ? out->complement() : *std::move(out);
}

std::optional<CodePointSet> both_cases(CodePointSet set) {
  constexpr char32_t kLongS = 0x17F;
  constexpr char32_t kKelvin = 0x212A;
  static const CodePointSet cased = (*unicode_property("uppercase") | *unicode_property("lowercase") |
                                     *unicode_property("Lt") | CodePointSet(0x345, 0x345)) &
                                    CodePointSet(0x80, CodePointSet::kMax);
  const auto known = CodePointSet(kLongS, kLongS) | CodePointSet(kKelvin, kKelvin);
  if (!(set & cased & known.complement()).empty()) return std::nullopt;
  for (char32_t c = 'a'; c <= 'z'; ++c) {
    const char32_t upper = c - ('a' - 'A');
    const char32_t third = c == 's' ? kLongS : c == 'k' ? kKelvin : c;
    if (!set.contains(c) && !set.contains(upper) && !set.contains(third)) continue;
    for (const auto one_case : {c, upper, third}) set.add(one_case, one_case);
  }
  return set;
}

}  // namespace sluice::text::regex
