#pragma once
// Whether a value that a schema lists (enum, const, a property's name) satisfies schemas, decided on the value itself.
#include <map>
#include <string>
#include <utility>

#include "common/result.h"
#include "text/grammar/source/dfa.h"
#include "text/grammar/source/numbers.h"
#include "text/grammar/source/schema_tree.h"

namespace sluice::text::grammar {

/// The kinds of values that types name, as bits. A number is whole or not: `integer` is one kind, `number` both.
inline constexpr std::uint8_t kNull = 1;
inline constexpr std::uint8_t kBoolean = 2;
inline constexpr std::uint8_t kInteger = 4;
inline constexpr std::uint8_t kFraction = 8;
inline constexpr std::uint8_t kNumber = kInteger | kFraction;
inline constexpr std::uint8_t kString = 16;
inline constexpr std::uint8_t kArray = 32;
inline constexpr std::uint8_t kObject = 64;
inline constexpr std::uint8_t kAnyKind = 127;
[[nodiscard]] std::uint8_t kinds_of_type(const Json& type);

/// JSON Schema's equality: 1 and 1.0 are equal, and so are objects whatever their order.
[[nodiscard]] bool same_value(const Json& a, const Json& b);
[[nodiscard]] std::size_t count_of(const Json& keyword);
[[nodiscard]] std::size_t characters(std::string_view text);

class SchemaValues {
 public:
  explicit SchemaValues(SchemaTree& tree) : tree_(tree) {}

  /// `schema` in full, or only its own keywords and not those that combine schemas ($ref, allOf, anyOf, oneOf).
  [[nodiscard]] Result<bool> accepts(const Json* schema, const Json& value, std::size_t depth = 0);
  [[nodiscard]] Result<bool> accepts_itself(const Json* schema, const Json& value, std::size_t depth = 0);

  /// The automaton of a pattern, or of a format; made once. `place` is for the error.
  [[nodiscard]] Result<const Dfa*> pattern(const Json* place, std::string_view pattern);
  [[nodiscard]] Result<const Dfa*> format(const Json* place, std::string_view name);
  /// ... of an expression for the whole text.
  [[nodiscard]] Result<const Dfa*> whole(const Json* place, std::string_view pattern) {
    return automaton(place, pattern, false);
  }

 private:
  [[nodiscard]] Result<bool> accepts_text(const Json* schema, const std::string& text);
  [[nodiscard]] Result<bool> accepts_items(const Json* schema, const Json& value, std::size_t depth);
  [[nodiscard]] Result<bool> accepts_members(const Json* schema, const Json& value, std::size_t depth);
  [[nodiscard]] Result<const Dfa*> automaton(const Json* place, std::string_view pattern, bool anywhere);

  SchemaTree& tree_;
  std::map<std::pair<std::string, bool>, Dfa> automata_;
  std::size_t steps_ = 0;
};

/// The bounds of `schema`'s own keywords added to `bounds`.
void add_bounds(SchemaTree& tree, const Json* schema, NumberBounds& bounds);

}  // namespace sluice::text::grammar
