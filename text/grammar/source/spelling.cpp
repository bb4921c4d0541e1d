#include "text/grammar/source/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

struct ShortEscape {
  char32_t character;
  char letter;
};
constexpr std::array<ShortEscape, 7> kShort{
    {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}}};

const CodePointSet& written_raw() {
  static const auto set = [] {
    CodePointSet out(0, 0x1F);
    out.add('"', '"');
    out.add('\\', '\\');
    return out.complement() & scalar_values();
  }();
  return set;
}

bool holds_all(const CodePointSet& set, const CodePointSet& part) { return (set & part) == part; }

CodePointSet letters(std::string_view of) {
  CodePointSet out;
  for (const char c : of) out.add(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
  return out;
}

}  // namespace

NodeIndex Spelling::one_of(const CodePointSet& set) {
  std::u32string key;
  for (const auto r : set.ranges()) {
    key += r.first;
    key += r.last;
  }
  const auto known = made_.find(key);
  if (known != made_.end()) return known->second;
  const auto node = spell(set);
  made_.emplace(std::move(key), node);
  return node;
}

std::string json_escaped(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out += '\\';
    const auto* known = std::find_if(kShort.begin(), kShort.end(), [&](auto e) { return e.character == byte; });
    if (known != kShort.end())
      out += known->letter;
    else
      out += fmt::format("u{:04x}", byte);
  }
  return out;
}

NodeIndex JsonSpelling::text(std::string_view value) { return grammar().literal(json_escaped(value)); }

NodeIndex JsonSpelling::spell(const CodePointSet& set) {
  auto& g = grammar();
  std::vector<NodeIndex> ways;
  if (auto raw = set & written_raw(); !raw.empty()) ways.push_back(g.chars(std::move(raw)));
  if (holds_all(set, scalar_values())) {
    ways.push_back(any_escape());
    return g.choice(std::move(ways));
  }
  std::string short_ones;
  for (const auto e : kShort)
    if (set.contains(e.character)) short_ones += e.letter;
  if (!short_ones.empty()) ways.push_back(g.sequence({g.literal("\\"), g.chars(letters(short_ones))}));
  for (const char32_t high : {0, 1}) {
    CodePointSet low;
    for (char32_t d = 0; d < 16; ++d) {
      const auto c = high * 16 + d;
      if (!set.contains(c) || (c >= '\b' && c <= '\r' && c != '\v')) continue;
      for (const char digit : {"0123456789abcdef"[d], "0123456789ABCDEF"[d]})
        low.add(static_cast<char32_t>(digit), static_cast<char32_t>(digit));
    }
    if (!low.empty()) ways.push_back(g.sequence({g.literal(high == 0 ? "\\u000" : "\\u001"), g.chars(std::move(low))}));
  }
  if (holds_all(set, CodePointSet(0x80, CodePointSet::kMax) & scalar_values())) ways.push_back(escape_beyond_ascii());
  return g.choice(std::move(ways));
}

NodeIndex JsonSpelling::hex_digits(std::string_view first, std::uint32_t more) {
  auto& g = grammar();
  static const auto any = letters("0123456789abcdefABCDEF");
  return g.sequence({g.chars(letters(first)), g.repeat(g.chars(any), more, more)});
}

NodeIndex JsonSpelling::any_escape() {
  auto& g = grammar();
  const auto low = g.sequence({g.literal("00"), hex_digits("01234567", 1)});
  return g.choice({g.sequence({g.literal("\\"), g.chars(letters("\"\\/bfnrt"))}), g.sequence({g.literal("\\u"), low}),
                   escape_beyond_ascii()});
}

NodeIndex JsonSpelling::escape_beyond_ascii() {
  if (beyond_ascii_) return *beyond_ascii_;
  auto& g = grammar();
  // 0080 to FFFF without the surrogates D800 to DFFF, or a pair of those.
  const auto single =
      g.choice({g.sequence({g.literal("00"), hex_digits("89abcdefABCDEF", 1)}),
                g.sequence({g.literal("0"), hex_digits("123456789abcdefABCDEF", 2)}),
                hex_digits("123456789abcefABCEF", 3), g.sequence({g.chars(letters("dD")), hex_digits("01234567", 2)})});
  const auto pair = g.sequence({g.chars(letters("dD")), hex_digits("89abAB", 2), g.literal("\\u"),
                                g.chars(letters("dD")), hex_digits("cdefCDEF", 2)});
  beyond_ascii_ = g.sequence({g.literal("\\u"), g.choice({single, pair})});
  return *beyond_ascii_;
}

}  // namespace sluice::text::grammar
