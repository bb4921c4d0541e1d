#include "text/grammar/source/ecma_class.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "text/unicode/properties.h"

namespace sluice::text::grammar {
namespace {

using regex::Cursor;
using regex::Escape;

CodePointSet minus(const CodePointSet& a, const CodePointSet& b) { return a & b.complement(); }

CodePointSet of(std::initializer_list<CodePointRange> ranges) {
  return CodePointSet(std::span(ranges.begin(), ranges.size()));
}

struct Readings {
  CodePointSet narrow, wide;
  [[nodiscard]] const CodePointSet& get(Reading r) const { return r == Reading::narrow ? narrow : wide; }
};

/// \d, \w or \s. ECMA's are of ASCII but for \s; Python's are of Unicode.
const Readings& shorthand(char name) {
  static const Readings digit{of({{'0', '9'}}), *unicode_property("Nd") | of({{'0', '9'}})};
  static const Readings word{of({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}),
                             *unicode_property("word") | *unicode_property("L") | *unicode_property("N")};
  static const auto space_in_both = of({{'\t', '\r'},
                                        {' ', ' '},
                                        {0xA0, 0xA0},
                                        {0x1680, 0x1680},
                                        {0x2000, 0x200A},
                                        {0x2028, 0x2029},
                                        {0x202F, 0x202F},
                                        {0x205F, 0x205F},
                                        {0x3000, 0x3000}});
  static const Readings space{space_in_both, space_in_both | of({{0x1C, 0x1F}, {0x85, 0x85}, {0xFEFF, 0xFEFF}})};
  return name == 'd' ? digit : name == 'w' ? word : space;
}

std::optional<char32_t> hex(std::string_view digits) {
  char32_t value = 0;
  for (const char d : digits) {
    const int v = d >= '0' && d <= '9'   ? d - '0'
                  : d >= 'a' && d <= 'f' ? d - 'a' + 10
                  : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                         : -1;
    if (v < 0 || value > CodePointSet::kMax) return std::nullopt;
    value = value * 16 + static_cast<char32_t>(v);
  }
  return digits.empty() ? std::nullopt : std::optional(value);
}

Escape one(char32_t c) { return {c, {}}; }

/// \xHH, \uHHHH (pairs of surrogates too), \u{H...}, \UHHHHHHHH as Python has it.
Result<Escape> hex_escape(Cursor& c) {
  const char kind = c.peek(1);
  if (kind == 'u' && c.peek(2) == '{') {
    const auto close = c.in.find('}', c.at);
    const auto value = close == std::string_view::npos ? std::nullopt : hex(c.in.substr(c.at + 3, close - c.at - 3));
    if (!value || !scalar_values().contains(*value)) return c.broken("\\u{} that is not one code point");
    c.at = close + 1;
    return one(*value);
  }
  const std::size_t length = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
  auto value = c.at + 2 + length <= c.in.size() ? hex(c.in.substr(c.at + 2, length)) : std::nullopt;
  if (!value) return c.broken(fmt::format("\\{} without its {} hexadecimal digits", kind, length));
  c.at += 2 + length;
  if (*value >= 0xD800 && *value < 0xDC00 && c.peek() == '\\' && c.peek(1) == 'u' && c.at + 6 <= c.in.size()) {
    const auto low = hex(c.in.substr(c.at + 2, 4));
    if (low && *low >= 0xDC00 && *low < 0xE000) {
      value = 0x10000 + ((*value - 0xD800) << 10U) + (*low - 0xDC00);
      c.at += 6;
    }
  }
  if (!scalar_values().contains(*value)) return c.broken("a code point that is none");
  return one(*value);
}

Result<Escape> property(Cursor& c) {
  const bool negative = c.peek(1) == 'P';
  const auto close = c.in.find('}', c.at);
  if (c.peek(2) != '{' || close == std::string_view::npos) return c.refuse("a property without braces");
  auto name = c.in.substr(c.at + 3, close - c.at - 3);
  for (const std::string_view prefix : {"General_Category=", "gc=", "Script=", "sc="})
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  auto set = unicode_property(name);
  if (!set) return c.refuse(fmt::format("the property \"{}\"", name));
  c.at = close + 1;
  return Escape{std::nullopt, (negative ? set->complement() : *std::move(set)) & scalar_values()};
}

/// A member of a class: a set, and the character if it is one, which may begin or end a range.
Result<Escape> member(Cursor& c, Reading reading) {
  if (c.peek() == '\\') return ecma_escape(c, true, reading);
  return one(c.take());
}

void add(CodePointSet& out, const Escape& e) {
  if (e.character)
    out.add(*e.character, *e.character);
  else
    out |= e.set;
}

}  // namespace

const CodePointSet& scalar_values() {
  static const auto set = of({{0, 0xD7FF}, {0xE000, CodePointSet::kMax}});
  return set;
}

const CodePointSet& ecma_dot() {
  static const auto set = minus(scalar_values(), of({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
  return set;
}

Result<Escape> ecma_escape(Cursor& c, bool in_class, Reading reading) {
  switch (const char e = c.peek(1)) {
    case 'd':
    case 'w':
    case 's':
      c.at += 2;
      return Escape{std::nullopt, shorthand(e).get(reading)};
    case 'D':
    case 'W':
    case 'S': {
      c.at += 2;
      const auto& readings = shorthand(static_cast<char>(e + ('a' - 'A')));
      return Escape{std::nullopt, minus(scalar_values(), reading == Reading::narrow ? readings.wide : readings.narrow)};
    }
    case 'p':
    case 'P':
      return property(c);
    case 'x':
    case 'u':
    case 'U':
      return hex_escape(c);
    case 'c': {
      const char letter = c.peek(2);
      if ((letter < 'a' || letter > 'z') && (letter < 'A' || letter > 'Z')) return c.refuse("\\c without a letter");
      c.at += 3;
      return one(static_cast<char32_t>(letter) % 32);
    }
    case '0':
      if (c.peek(2) >= '0' && c.peek(2) <= '9') return c.refuse("an octal escape");
      c.at += 2;
      return one(0);
    case 'b':
      if (!in_class) return c.refuse("the word boundary \\b");
      c.at += 2;
      return one('\b');
    case 'B':
      return c.refuse("\\B");
    case '\0':
      if (c.at + 1 >= c.in.size()) return c.broken("a trailing backslash");
      ++c.at;
      return one(c.take());
    default: {
      static constexpr std::array<std::pair<char, char>, 5> kControls{
          {{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'f', '\f'}, {'v', '\v'}}};
      for (const auto& [name, control] : kControls) {
        if (e != name) continue;
        c.at += 2;
        return one(static_cast<char32_t>(control));
      }
      if ((e >= '1' && e <= '9') || e == 'k') return c.refuse(fmt::format("the backreference \\{}", e));
      if ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z')) return c.refuse(fmt::format("\\{}", e));
      ++c.at;
      return one(c.take());
    }
  }
}

Result<CodePointSet> ecma_class(Cursor& c) {
  ++c.at;
  const bool negative = c.eat("^");
  const auto reading = negative ? Reading::wide : Reading::narrow;
  if (c.peek() == ']') return c.refuse("']' first in a class (escape it)");
  CodePointSet out;
  while (c.peek() != ']' || c.done()) {
    if (c.done()) return c.broken("a class without its ']'");
    SLUICE_ASSIGN(const auto low, member(c, reading));
    if (c.peek() != '-' || c.peek(1) == ']' || c.at + 1 >= c.in.size()) {
      add(out, low);
      continue;
    }
    ++c.at;
    SLUICE_ASSIGN(const auto high, member(c, reading));
    if (!low.character || !high.character) {  // [\w-.] has a '-'
      add(out, low);
      add(out, high);
      out.add('-', '-');
    } else if (*high.character < *low.character) {
      return c.broken("a range whose end is before its begin");
    } else {
      out.add(*low.character, *high.character);
    }
  }
  ++c.at;
  return (negative ? out.complement() : out) & scalar_values();
}

}  // namespace sluice::text::grammar
