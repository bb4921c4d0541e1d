#include "text/grammar/source/schema_values.h"

#include <algorithm>
#include <functional>

#include "common/utf8.h"
#include "text/grammar/source/ecma_parser.h"
#include "text/grammar/source/formats.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMaxSteps = 2'000'000;

std::uint8_t kind_of(const Json& v) {
  switch (v.type()) {
    case Json::value_t::null:
      return kNull;
    case Json::value_t::boolean:
      return kBoolean;
    case Json::value_t::string:
      return kString;
    case Json::value_t::array:
      return kArray;
    case Json::value_t::object:
      return kObject;
    default:
      return Decimal::of(v).fraction.empty() ? kInteger : kFraction;
  }
}

}  // namespace

std::uint8_t kinds_of_type(const Json& type) {
  if (type.is_array()) {
    std::uint8_t out = 0;
    for (const auto& t : type) out |= kinds_of_type(t);
    return out;
  }
  const auto& name = type.get_ref<const std::string&>();
  return name == "null"      ? kNull
         : name == "boolean" ? kBoolean
         : name == "integer" ? kInteger
         : name == "number"  ? kNumber
         : name == "string"  ? kString
         : name == "array"   ? kArray
                             : kObject;
}

bool same_value(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return Decimal::of(a) == Decimal::of(b);
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::ranges::equal(a, b, same_value);
  if (!a.is_object()) return a == b;
  return std::ranges::all_of(a.items(), [&](const auto& m) {
    const auto other = b.find(m.key());
    return other != b.end() && same_value(m.value(), *other);
  });
}

std::size_t count_of(const Json& keyword) { return static_cast<std::size_t>(std::min(keyword.get<double>(), 1e12)); }

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

void add_bounds(SchemaTree& tree, const Json* schema, NumberBounds& bounds) {
  if (const auto* k = tree.get(schema, "minimum")) bounds.at_least(Decimal::of(*k), false);
  if (const auto* k = tree.get(schema, "exclusiveMinimum")) bounds.at_least(Decimal::of(*k), true);
  if (const auto* k = tree.get(schema, "maximum")) bounds.at_most(Decimal::of(*k), false);
  if (const auto* k = tree.get(schema, "exclusiveMaximum")) bounds.at_most(Decimal::of(*k), true);
  if (const auto* k = tree.get(schema, "multipleOf")) bounds.multiples_of.push_back(Decimal::of(*k));
  // What OpenAPI's formats of numbers bound.
  const auto* format = tree.get(schema, "format");
  if (format != nullptr && *format == "int32") {
    bounds.at_least({true, "2147483648"}, false);
    bounds.at_most({false, "2147483647"}, false);
  } else if (format != nullptr && *format == "int64") {
    bounds.at_least({true, "9223372036854775808"}, false);
    bounds.at_most({false, "9223372036854775807"}, false);
  }
}

Result<bool> SchemaValues::accepts(const Json* schema, const Json& value, std::size_t depth) {
  // Deeper than any value: references that come back to themselves.
  if (depth > 2 * tree_.limits().depth)
    return tree_.refuse(schema, Errc::invalid_argument, "a $ref that comes back to itself");
  SLUICE_TRY(tree_.check(schema));
  if (schema->is_boolean()) return schema->get<bool>();
  SLUICE_ASSIGN(const bool itself, accepts_itself(schema, value, depth));
  if (!itself) return false;
  if (tree_.get(schema, "$ref") != nullptr) {
    SLUICE_ASSIGN(const auto* target, tree_.resolve(schema));
    SLUICE_ASSIGN(const bool held, accepts(target, value, depth + 1));
    if (!held) return false;
  }
  for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
    const auto* branches = tree_.get(schema, keyword);
    if (branches == nullptr) continue;
    std::size_t held = 0;
    for (std::size_t i = 0; i < branches->size(); ++i) {
      SLUICE_ASSIGN(const bool holds, accepts(tree_.item(branches, i), value, depth + 1));
      if (holds) ++held;
    }
    if (keyword == "allOf" ? held < branches->size() : keyword == "anyOf" ? held == 0 : held != 1) return false;
  }
  return true;
}

Result<bool> SchemaValues::accepts_itself(const Json* schema, const Json& value, std::size_t depth) {
  if (++steps_ > kMaxSteps) return fail(Errc::invalid_argument, "the schema is too large: too many values to check");
  if (schema->is_boolean()) return schema->get<bool>();
  const auto kind = kind_of(value);
  if (const auto* type = tree_.get(schema, "type"); type != nullptr && (kinds_of_type(*type) & kind) == 0) return false;
  if (const auto* only = tree_.get(schema, "const"); only != nullptr && !same_value(*only, value)) return false;
  if (const auto* list = tree_.get(schema, "enum")) {
    const auto& values = list->get_ref<const Json::array_t&>();
    const bool of_the_list =
        std::less_equal<>()(values.data(), &value) && std::less<>()(&value, values.data() + values.size());
    if (!of_the_list) {
      steps_ += values.size();
      if (std::ranges::none_of(values, [&](const Json& v) { return same_value(v, value); })) return false;
    }
  }
  switch (kind) {
    case kInteger:
    case kFraction: {
      NumberBounds bounds;
      add_bounds(tree_, schema, bounds);
      return bounds.holds(Decimal::of(value));
    }
    case kString:
      return accepts_text(schema, value.get_ref<const std::string&>());
    case kArray:
      return accepts_items(schema, value, depth);
    case kObject:
      return accepts_members(schema, value, depth);
    default:
      return true;
  }
}

Result<bool> SchemaValues::accepts_text(const Json* schema, const std::string& text) {
  const auto* least = tree_.get(schema, "minLength");
  const auto* most = tree_.get(schema, "maxLength");
  const auto length = characters(text);
  if ((least != nullptr && length < count_of(*least)) || (most != nullptr && length > count_of(*most))) return false;
  if (const auto* p = tree_.get(schema, "pattern")) {
    SLUICE_ASSIGN(const auto* dfa, pattern(schema, p->get_ref<const std::string&>()));
    if (!dfa->matches(text)) return false;
  }
  if (const auto* f = tree_.get(schema, "format")) {
    SLUICE_ASSIGN(const auto* dfa, format(schema, f->get_ref<const std::string&>()));
    if (dfa != nullptr && !dfa->matches(text)) return false;
  }
  return true;
}

Result<bool> SchemaValues::accepts_items(const Json* schema, const Json& value, std::size_t depth) {
  const auto* least = tree_.get(schema, "minItems");
  const auto* most = tree_.get(schema, "maxItems");
  if ((least != nullptr && value.size() < count_of(*least)) || (most != nullptr && value.size() > count_of(*most)))
    return false;
  const auto* prefix = tree_.get(schema, "prefixItems");
  const auto* items = tree_.get(schema, "items");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto* part = prefix != nullptr && i < prefix->size() ? tree_.item(prefix, i) : items;
    if (part == nullptr) continue;
    SLUICE_ASSIGN(const bool holds, accepts(part, value[i], depth + 1));
    if (!holds) return false;
  }
  const auto* unique = tree_.get(schema, "uniqueItems");
  if (unique == nullptr || !unique->get<bool>()) return true;
  for (std::size_t i = 0; i < value.size(); ++i) {
    steps_ += i;
    if (steps_ > kMaxSteps) return fail(Errc::invalid_argument, "the schema is too large: too many values to check");
    for (std::size_t j = 0; j < i; ++j)
      if (same_value(value[i], value[j])) return false;
  }
  return true;
}

Result<bool> SchemaValues::accepts_members(const Json* schema, const Json& value, std::size_t depth) {
  const auto* least = tree_.get(schema, "minProperties");
  const auto* most = tree_.get(schema, "maxProperties");
  if ((least != nullptr && value.size() < count_of(*least)) || (most != nullptr && value.size() > count_of(*most)))
    return false;
  if (const auto* required = tree_.get(schema, "required"))
    for (const auto& name : *required)
      if (!value.contains(name.get_ref<const std::string&>())) return false;
  const auto* listed = tree_.get(schema, "properties");
  const auto* patterns = tree_.get(schema, "patternProperties");
  const auto* others = tree_.get(schema, "additionalProperties");
  const auto* names = tree_.get(schema, "propertyNames");
  for (const auto& [name, member] : value.items()) {
    std::vector<const Json*> parts;
    if (listed != nullptr)
      if (const auto* part = tree_.named(listed, name)) parts.push_back(part);
    if (patterns != nullptr) {
      for (const auto& [p, part] : patterns->items()) {
        SLUICE_ASSIGN(const auto* dfa, pattern(schema, p));
        if (dfa->matches(name)) parts.push_back(tree_.named(patterns, p));
      }
    }
    if (parts.empty() && others != nullptr) parts.push_back(others);
    for (const auto* part : parts) {
      SLUICE_ASSIGN(const bool holds, accepts(part, member, depth + 1));
      if (!holds) return false;
    }
    if (names == nullptr) continue;
    SLUICE_ASSIGN(const bool holds, accepts(names, Json(name), depth + 1));
    if (!holds) return false;
  }
  return true;
}

Result<const Dfa*> SchemaValues::pattern(const Json* place, std::string_view pattern) {
  return automaton(place, pattern, true);
}

Result<const Dfa*> SchemaValues::format(const Json* place, std::string_view name) {
  const auto known = string_format(name);
  if (!known) {
    if (name == "int32" || name == "int64" || name == "float" || name == "double") return nullptr;  // of numbers
    return tree_.refuse(place, Errc::unsupported, "the format \"{}\" is not supported; those that are: {}", name,
                        format_names());
  }
  if (known->pattern.empty()) return nullptr;
  return automaton(place, known->pattern, false);
}

Result<const Dfa*> SchemaValues::automaton(const Json* place, std::string_view pattern, bool anywhere) {
  const auto [it, fresh] = automata_.try_emplace({std::string(pattern), anywhere}, Dfa({}));
  if (!fresh) return &it->second;
  const auto made = [&]() -> Result<Dfa> {
    SLUICE_ASSIGN(const auto tree, parse_ecma(pattern, tree_.limits()));
    return Dfa::of(*tree, anywhere);
  }();
  if (!made) {
    automata_.erase(it);
    return tree_.refuse(place, made.error().code, "the pattern \"{}\": {}", clip_utf8(pattern, 80),
                        made.error().message);
  }
  it->second = made->tidied();
  return &it->second;
}

}  // namespace sluice::text::grammar
