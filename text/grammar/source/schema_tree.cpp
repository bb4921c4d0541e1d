#include "text/grammar/source/schema_tree.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

namespace sluice::text::grammar {
namespace {

/// What the value of a keyword must be.
enum class Shape : std::uint8_t {
  anything,
  schema,
  schemas,        // a list of at least one
  named_schemas,  // an object of schemas
  type,
  values,  // a list of at least one value
  names,   // a list of texts
  count,   // 0, 1, ...
  number,
  positive_number,
  text,
  boolean,
};

const std::unordered_map<std::string_view, Shape>& known_keywords() {
  static const std::unordered_map<std::string_view, Shape> known{
      {"type", Shape::type},
      {"enum", Shape::values},
      {"const", Shape::anything},
      {"properties", Shape::named_schemas},
      {"patternProperties", Shape::named_schemas},
      {"additionalProperties", Shape::schema},
      {"propertyNames", Shape::schema},
      {"required", Shape::names},
      {"minProperties", Shape::count},
      {"maxProperties", Shape::count},
      {"prefixItems", Shape::schemas},
      {"items", Shape::schema},
      {"minItems", Shape::count},
      {"maxItems", Shape::count},
      {"uniqueItems", Shape::boolean},
      {"pattern", Shape::text},
      {"format", Shape::text},
      {"minLength", Shape::count},
      {"maxLength", Shape::count},
      {"minimum", Shape::number},
      {"maximum", Shape::number},
      {"exclusiveMinimum", Shape::number},
      {"exclusiveMaximum", Shape::number},
      {"multipleOf", Shape::positive_number},
      {"anyOf", Shape::schemas},
      {"oneOf", Shape::schemas},
      {"allOf", Shape::schemas},
      {"$ref", Shape::text},
      {"$defs", Shape::named_schemas},
      {"definitions", Shape::named_schemas},
  };
  return known;
}

bool is_annotation(std::string_view keyword) {
  static const std::unordered_set<std::string_view> known{
      "title",         "description", "default", "examples", "example",         "$comment",         "deprecated",
      "readOnly",      "writeOnly",   "$schema", "$anchor",  "contentEncoding", "contentMediaType", "contentSchema",
      "discriminator", "externalDocs"};
  return keyword.starts_with("x-") || known.contains(keyword);
}

/// Why a keyword that exists is not supported, and what to do.
std::string_view hint(std::string_view keyword) {
  static const std::unordered_map<std::string_view, std::string_view> hints{
      {"nullable", "write the type as a list with \"null\""},
      {"additionalItems", "write prefixItems and items"},
      {"dependencies", "write the cases as anyOf"},
      {"dependentRequired", "write the cases as anyOf"},
      {"dependentSchemas", "write the cases as anyOf"},
      {"if", "write the cases as anyOf"},
      {"then", "write the cases as anyOf"},
      {"else", "write the cases as anyOf"},
      {"not", "write what is allowed"},
      {"unevaluatedProperties", "write additionalProperties"},
      {"unevaluatedItems", "write items"},
      {"contains", "write prefixItems or items"},
      {"$dynamicRef", "write $ref with a JSON pointer"},
      {"$recursiveRef", "write $ref with a JSON pointer"},
  };
  const auto found = hints.find(keyword);
  return found == hints.end() ? "leave it out, or give it a name that begins with x-" : found->second;
}

bool is_type_name(const Json& v) {
  static constexpr std::array<std::string_view, 7> kNames{"null",   "boolean", "integer", "number",
                                                          "string", "array",   "object"};
  return v.is_string() && std::ranges::find(kNames, v.get_ref<const std::string&>()) != kNames.end();
}

bool is_schema(const Json& v) { return v.is_object() || v.is_boolean(); }

std::string_view shape_in_words(Shape s) {
  switch (s) {
    case Shape::schema:
      return "a schema (an object or a boolean)";
    case Shape::schemas:
      return "a list of at least one schema";
    case Shape::named_schemas:
      return "an object of schemas";
    case Shape::type:
      return "the name of a type, or a list of names";
    case Shape::values:
      return "a list of at least one value";
    case Shape::names:
      return "a list of texts";
    case Shape::count:
      return "a whole number of at least 0";
    case Shape::number:
      return "a number";
    case Shape::positive_number:
      return "a number above 0";
    case Shape::text:
      return "a text";
    case Shape::boolean:
      return "true or false";
    case Shape::anything:
      break;
  }
  return "a value";
}

bool has_shape(const Json& v, Shape s) {
  switch (s) {
    case Shape::anything:
      return true;
    case Shape::schema:
      return is_schema(v);
    case Shape::schemas:
      return v.is_array() && !v.empty() && std::ranges::all_of(v, is_schema);
    case Shape::named_schemas:
      return v.is_object() && std::ranges::all_of(v, is_schema);
    case Shape::type:
      return v.is_array() ? !v.empty() && std::ranges::all_of(v, is_type_name) : is_type_name(v);
    case Shape::values:
      return v.is_array() && !v.empty();
    case Shape::names:
      return v.is_array() && std::ranges::all_of(v, [](const Json& n) { return n.is_string(); });
    case Shape::count:
      return v.is_number() && v.get<double>() >= 0 &&
             (v.is_number_integer() ||
              v.get<double>() == static_cast<double>(static_cast<std::int64_t>(std::min(v.get<double>(), 9e15))));
    case Shape::number:
      return v.is_number();
    case Shape::positive_number:
      return v.is_number() && v.get<double>() > 0;
    case Shape::text:
      return v.is_string();
    case Shape::boolean:
      return v.is_boolean();
  }
  return false;
}

std::string escaped(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

/// A part of a $ref: %HH and then ~0 and ~1.
std::string unescaped(std::string_view part) {
  std::string plain;
  for (std::size_t i = 0; i < part.size(); ++i) {
    unsigned byte = 0;
    if (part[i] == '%' && i + 2 < part.size() &&
        std::from_chars(part.data() + i + 1, part.data() + i + 3, byte, 16).ptr == part.data() + i + 3) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += part[i];
    }
  }
  std::string out;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '~' && i + 1 < plain.size() && (plain[i + 1] == '0' || plain[i + 1] == '1'))
      out += plain[++i] == '0' ? '~' : '/';
    else
      out += plain[i];
  }
  return out;
}

}  // namespace

Result<> SchemaTree::check_size() const {
  std::vector<std::pair<const Json*, std::size_t>> work{{&root_, 1}};
  std::size_t values = 0;
  while (!work.empty()) {
    const auto [v, depth] = work.back();
    work.pop_back();
    if (depth > limits_.depth)
      return fail(Errc::invalid_argument, "the schema is nested deeper than {}", limits_.depth);
    if (++values > limits_.nodes)
      return fail(Errc::invalid_argument, "the schema has more than the {} values allowed", limits_.nodes);
    if (v->is_structured())
      for (const auto& inner : *v) work.emplace_back(&inner, depth + 1);
  }
  return {};
}

Result<> SchemaTree::check(const Json* schema) {
  if (checked_.contains(schema)) return {};
  if (!is_schema(*schema))
    return refuse(schema, Errc::invalid_argument, "a schema is an object or a boolean, not {}", schema->type_name());
  if (schema->is_boolean()) return {};
  for (const auto& [keyword, value] : schema->items()) SLUICE_TRY(check_value(schema, keyword, value));
  checked_.insert(schema);
  return {};
}

Result<> SchemaTree::check_value(const Json* schema, const std::string& keyword, const Json& value) {
  const auto known = known_keywords().find(keyword);
  if (known != known_keywords().end()) {
    if (keyword == "items" && value.is_array())
      return refuse(schema, Errc::unsupported, "items as a list is of older drafts; write prefixItems");
    if (keyword == "minimum" || keyword == "exclusiveMinimum" || keyword == "maximum" || keyword == "exclusiveMaximum")
      if (value.is_boolean())
        return refuse(schema, Errc::unsupported, "{} as a boolean is of draft 4; write the bound itself", keyword);
    if (!has_shape(value, known->second))
      return refuse(schema, Errc::invalid_argument, "{} must be {}", keyword, shape_in_words(known->second));
    return {};
  }
  if (is_annotation(keyword)) return {};
  if (keyword == "$id") {
    if (schema == &root_) return {};
    return refuse(schema, Errc::unsupported, "$id inside a schema is not supported; write $ref with a JSON pointer");
  }
  return refuse(schema, Errc::unsupported, "the keyword '{}' is not supported; {}", keyword, hint(keyword));
}

const Json* SchemaTree::remember(const Json* parent, std::string key, const Json* child) {
  places_.try_emplace(child, Place{parent, std::move(key)});
  return child;
}

const SchemaTree::Index& SchemaTree::index(const Json* object) {
  const auto [it, fresh] = indexes_.try_emplace(object);
  if (fresh)
    for (const auto& [key, value] : object->get_ref<const Json::object_t&>()) it->second.try_emplace(key, &value);
  return it->second;
}

const Json* SchemaTree::get(const Json* schema, std::string_view keyword) {
  if (!schema->is_object()) return nullptr;
  return named(schema, keyword);
}

const Json* SchemaTree::named(const Json* container, std::string_view name) {
  const auto& known = index(container);
  const auto found = known.find(name);
  return found == known.end() ? nullptr : remember(container, std::string(name), found->second);
}

const Json* SchemaTree::item(const Json* container, std::size_t i) {
  return remember(container, fmt::format("{}", i), &(*container)[i]);
}

const Json* SchemaTree::made(Json schema, const Json* beside) {
  made_.push_back(std::move(schema));
  const auto place = places_.find(beside);
  if (place != places_.end()) places_.try_emplace(&made_.back(), place->second);
  return &made_.back();
}

Result<const Json*> SchemaTree::resolve(const Json* schema) {
  SLUICE_TRY(check(schema));  // a text
  const auto& text = get(schema, "$ref")->get_ref<const std::string&>();
  auto ref = std::string_view(text);
  if (const auto* id = get(&root_, "$id"); id != nullptr && id->is_string()) {
    // A reference to the schema's own name.
    const std::string_view own = id->get_ref<const std::string&>();
    if (ref == own) return &root_;
    if (!own.empty() && ref.starts_with(own) && ref.substr(own.size()).starts_with('#')) ref.remove_prefix(own.size());
  }
  if (!ref.starts_with('#') || (ref.size() > 1 && ref[1] != '/'))
    return refuse(schema, Errc::unsupported,
                  "the $ref \"{}\" is not supported; only JSON pointers into the same schema are (\"#/$defs/name\")",
                  text);
  ref.remove_prefix(1);
  const auto* at = &root_;
  while (!ref.empty()) {
    const auto end = std::min(ref.find('/', 1), ref.size());
    const auto part = unescaped(ref.substr(1, end - 1));
    ref.remove_prefix(end);
    const Json* next = nullptr;
    if (at->is_object()) {
      next = named(at, part);
    } else if (at->is_array()) {
      std::size_t i = 0;
      const auto [stop, ec] = std::from_chars(part.data(), part.data() + part.size(), i);
      if (ec == std::errc() && stop == part.data() + part.size() && i < at->size()) next = item(at, i);
    }
    if (next == nullptr) return refuse(schema, Errc::invalid_argument, "the $ref \"{}\" leads nowhere", text);
    at = next;
  }
  return at;
}

std::string SchemaTree::pointer(const Json* place) const {
  std::vector<const std::string*> parts;
  for (auto p = places_.find(place); p != places_.end(); p = places_.find(p->second.parent))
    parts.push_back(&p->second.key);
  if (parts.empty()) return "the root";
  std::string out;
  for (auto p = parts.rbegin(); p != parts.rend(); ++p) out += '/' + escaped(**p);
  if (out.size() > 300) out = out.substr(0, 140) + "..." + out.substr(out.size() - 140);
  return out;
}

std::string SchemaTree::label(const Json* place) const {
  const auto p = places_.find(place);
  return p == places_.end() ? "document" : p->second.key;
}

}  // namespace sluice::text::grammar
