#include "text/grammar/source/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "text/grammar/source/ecma_class.h"
#include "text/grammar/source/numbers.h"

namespace sluice::text::grammar {

NodeIndex JsonText::space() {
  // What writers of JSON write, and no more: a model that likes white space would spend its tokens on it.
  constexpr std::uint32_t kSpaces = 16, kTabs = 8;
  const auto run = [&](char c, std::uint32_t least, std::uint32_t most) {
    return g_.repeat(g_.chars(CodePointSet(static_cast<unsigned char>(c), static_cast<unsigned char>(c))), least, most);
  };
  return once(space_, "ws", [&] {
    const auto indent = g_.choice({run(' ', 0, kSpaces), run('\t', 1, kTabs)});
    return g_.optional(g_.choice({g_.literal(" "), g_.sequence({g_.literal("\n"), indent})}));
  });
}

NodeIndex JsonText::comma() {
  if (!any_whitespace_) return g_.literal(", ");
  return once(comma_, "comma", [&] { return g_.sequence({g_.literal(","), space()}); });
}

NodeIndex JsonText::colon() {
  if (!any_whitespace_) return g_.literal(": ");
  return once(colon_, "colon", [&] { return g_.sequence({g_.literal(":"), g_.optional(g_.literal(" "))}); });
}

NodeIndex JsonText::enclosed(const char* open, NodeIndex inside, const char* close) {
  if (!any_whitespace_) return g_.sequence({g_.literal(open), inside, g_.literal(close)});
  return g_.sequence({g_.literal(open), space(), inside, space(), g_.literal(close)});
}

NodeIndex JsonText::quoted(NodeIndex inside) { return g_.sequence({g_.literal("\""), inside, g_.literal("\"")}); }

NodeIndex JsonText::member(NodeIndex name, NodeIndex value) { return g_.sequence({name, colon(), value}); }

NodeIndex JsonText::list_of(NodeIndex item) {
  return g_.optional(g_.sequence({item, g_.repeat(g_.sequence({comma(), item}), 0)}));
}

NodeIndex JsonText::any_value() {
  return once(value_, "value", [&] {
    return g_.choice({any_object(), any_array(), any_string(), any_number(), boolean(), g_.literal("null")});
  });
}

NodeIndex JsonText::any_object() {
  return once(object_, "object", [&] { return braces(list_of(member(any_string(), any_value()))); });
}

NodeIndex JsonText::any_array() {
  return once(array_, "array", [&] { return brackets(list_of(any_value())); });
}

NodeIndex JsonText::any_string() {
  return once(string_, "string", [&] { return quoted(g_.repeat(spelling_.one_of(scalar_values()), 0)); });
}

NodeIndex JsonText::any_number() {
  return once(number_, "number", [&] { return add_number(g_, {}).value_or(0); });
}

NodeIndex JsonText::boolean() {
  return once(boolean_, "boolean", [&] { return g_.choice({g_.literal("true"), g_.literal("false")}); });
}

NodeIndex JsonText::value(const nlohmann::ordered_json& value) {
  if (value.is_string()) return g_.literal('"' + json_escaped(value.get_ref<const std::string&>()) + '"');
  if (value.is_number_float() && std::abs(value.get<double>()) < 1e15 &&
      std::trunc(value.get<double>()) == value.get<double>())
    return g_.literal(fmt::format("{}", value.get<std::int64_t>()));  // whole numbers as such
  if (!value.is_structured()) return g_.literal(value.dump());
  std::vector<NodeIndex> parts;
  for (const auto& [key, item] : value.items()) {
    if (!parts.empty()) parts.push_back(comma());
    if (value.is_object()) {
      parts.push_back(g_.literal('"' + json_escaped(key) + '"'));
      parts.push_back(colon());
    }
    parts.push_back(this->value(item));
  }
  const auto inside = parts.empty() ? g_.literal("") : g_.sequence(std::move(parts));
  return value.is_object() ? braces(inside) : brackets(inside);
}

}  // namespace sluice::text::grammar
