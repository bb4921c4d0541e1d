#include "text/unicode/properties.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "text/unicode/property_tables.h"

namespace sluice::text {
namespace {

namespace tables = unicode_tables;

/// The code points of a table (first code point << 8 | value) whose value `wanted` likes.
template <class F>
CodePointSet with_value(std::span<const std::uint32_t> table, F&& wanted) {
  std::vector<CodePointRange> out;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!wanted(table[i] & 0xFFU)) continue;
    const char32_t first = i == 0 ? 0 : table[i] >> 8U;  // U+0000 is as U+0001
    const char32_t last = i + 1 < table.size() ? (table[i + 1] >> 8U) - 1 : CodePointSet::kMax;
    out.push_back({first, last});
  }
  return CodePointSet(out);
}

/// Categories whose short name begins with `prefix` ("L", "Nd").
CodePointSet category(std::string_view prefix) {
  return with_value(tables::kCategoryOf,
                    [&](std::uint32_t value) { return tables::kCategories[value].starts_with(prefix); });
}

std::string lower(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != ' ' && c != '-' && c != '_') out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  return out;
}

// Long names of the categories, normalized, beside the short ones.
constexpr auto kLongNames =
    std::to_array<std::pair<std::string_view, std::string_view>>({{"letter", "L"},
                                                                  {"uppercaseletter", "Lu"},
                                                                  {"lowercaseletter", "Ll"},
                                                                  {"titlecaseletter", "Lt"},
                                                                  {"modifierletter", "Lm"},
                                                                  {"otherletter", "Lo"},
                                                                  {"mark", "M"},
                                                                  {"combiningmark", "M"},
                                                                  {"nonspacingmark", "Mn"},
                                                                  {"spacingmark", "Mc"},
                                                                  {"enclosingmark", "Me"},
                                                                  {"number", "N"},
                                                                  {"decimalnumber", "Nd"},
                                                                  {"letternumber", "Nl"},
                                                                  {"othernumber", "No"},
                                                                  {"punctuation", "P"},
                                                                  {"punct", "P"},
                                                                  {"dashpunctuation", "Pd"},
                                                                  {"connectorpunctuation", "Pc"},
                                                                  {"openpunctuation", "Ps"},
                                                                  {"closepunctuation", "Pe"},
                                                                  {"initialpunctuation", "Pi"},
                                                                  {"finalpunctuation", "Pf"},
                                                                  {"otherpunctuation", "Po"},
                                                                  {"symbol", "S"},
                                                                  {"mathsymbol", "Sm"},
                                                                  {"currencysymbol", "Sc"},
                                                                  {"modifiersymbol", "Sk"},
                                                                  {"othersymbol", "So"},
                                                                  {"separator", "Z"},
                                                                  {"spaceseparator", "Zs"},
                                                                  {"lineseparator", "Zl"},
                                                                  {"paragraphseparator", "Zp"},
                                                                  {"other", "C"},
                                                                  {"control", "Cc"},
                                                                  {"cntrl", "Cc"},
                                                                  {"format", "Cf"},
                                                                  {"privateuse", "Co"},
                                                                  {"unassigned", "Cn"},
                                                                  {"digit", "Nd"}});

std::optional<CodePointSet> category_named(std::string_view name) {
  const auto* known = std::ranges::find(kLongNames, name, &std::pair<std::string_view, std::string_view>::first);
  if (known != kLongNames.end()) return category(known->second);
  if (name == "lc" || name == "casedletter") return category("Lu") | category("Ll") | category("Lt");
  if (name.empty() || name.size() > 2) return std::nullopt;
  std::string prefix(name);
  prefix[0] = static_cast<char>(prefix[0] - ('a' - 'A'));
  auto set = category(prefix);
  if (set.empty()) return std::nullopt;
  return set;
}

std::optional<CodePointSet> script_named(std::string_view name) {
  if (name == "unknown" || name == "zzzz") return with_value(tables::kScriptOf, [](auto value) { return value == 0; });
  const auto* it =
      std::ranges::find_if(tables::kScripts, [&](const auto& s) { return s.first == name || s.second == name; });
  if (it == tables::kScripts.end()) return std::nullopt;
  const auto index = static_cast<std::uint32_t>(it - tables::kScripts.begin()) + 1;
  return with_value(tables::kScriptOf, [&](auto value) { return value == index; });
}

CodePointSet alphabetic() { return category("L") | category("Nl") | CodePointSet(tables::kOtherAlphabetic); }
CodePointSet word() { return alphabetic() | category("M") | category("Nd") | category("Pc"); }
CodePointSet space() { return category("Z") | CodePointSet(0x09, 0x0D) | CodePointSet(0x85, 0x85); }

std::optional<CodePointSet> binary_named(std::string_view name) {
  if (name == "alphabetic" || name == "alpha") return alphabetic();
  if (name == "uppercase" || name == "upper") return category("Lu") | CodePointSet(tables::kOtherUppercase);
  if (name == "lowercase" || name == "lower") return category("Ll") | CodePointSet(tables::kOtherLowercase);
  if (name == "alnum") return alphabetic() | category("Nd");
  if (name == "space" || name == "whitespace") return space();
  if (name == "blank") return category("Zs") | CodePointSet(0x09, 0x09);
  if (name == "graph") return (space() | category("Cc") | category("Cn")).complement();
  if (name == "print") return (category("Zl") | category("Zp") | category("Cc") | category("Cn")).complement();
  if (name == "xdigit") return CodePointSet('0', '9') | CodePointSet('A', 'F') | CodePointSet('a', 'f');
  if (name == "ascii") return CodePointSet(0, 0x7F);
  if (name == "any") return CodePointSet(0, CodePointSet::kMax);
  if (name == "assigned") return category("Cn").complement();
  // The reference keeps six characters below U+0100 that are numbers among the word characters, but only here.
  if (name == "word") return word() | CodePointSet(0xB2, 0xB3) | CodePointSet(0xB9, 0xB9) | CodePointSet(0xBC, 0xBE);
  if (name == "posixpunct") return category("P") | category("S");
  if (name == "emoji") return CodePointSet(tables::kEmoji);
  if (name == "emojipresentation") return CodePointSet(tables::kEmojiPresentation);
  if (name == "emojimodifier") return CodePointSet(tables::kEmojiModifier);
  if (name == "emojimodifierbase") return CodePointSet(tables::kEmojiModifierBase);
  if (name == "emojicomponent") return CodePointSet(tables::kEmojiComponent);
  if (name == "extendedpictographic") return CodePointSet(tables::kExtendedPictographic);
  if (name == "ideographic") return CodePointSet(tables::kIdeographic);
  if (name == "unifiedideograph") return CodePointSet(tables::kUnifiedIdeograph);
  if (name == "variationselector") return CodePointSet(tables::kVariationSelector);
  if (name == "math") return CodePointSet(tables::kMath);
  if (name == "dash") return CodePointSet(tables::kDash);
  return std::nullopt;
}

}  // namespace

std::optional<CodePointSet> unicode_property(std::string_view name) {
  const auto plain = lower(name);
  if (auto set = category_named(plain)) return set;
  if (auto set = script_named(plain)) return set;
  return binary_named(plain);
}

std::optional<CodePointSet> posix_class(std::string_view name) {
  static constexpr auto kNames = std::to_array<std::string_view>(
      {"alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "space", "upper", "xdigit"});
  if (name == "punct") return category("P") | category("S");
  if (name == "word") return word();
  if (std::ranges::find(kNames, name) == kNames.end()) return std::nullopt;
  return unicode_property(name);
}

const CodePointSet& punctuation() {
  static const CodePointSet set(tables::kPunctuation);
  return set;
}

const CodePointSet& digits() {
  static const CodePointSet set(tables::kDigits);
  return set;
}

const CodePointSet& word_characters() {
  static const CodePointSet set = word() | CodePointSet(0x200C, 0x200D);  // with Join_Control
  return set;
}

}  // namespace sluice::text
