#include "coordinator/api/structured_fields.h"

#include <array>
#include <string>
#include <utility>

#include "common/json/parse.h"
#include "common/utf8.h"
#include "text/grammar/matcher.h"
#include "text/grammar/sources.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;
namespace grammar = text::grammar;

namespace {

constexpr std::size_t kMaxChoiceTexts = 4096;
constexpr std::size_t kMaxFormatName = 256;
constexpr std::size_t kMaxShown = 64;  // bytes of a client's word in an error

/// "{\"type\": ...}": some clients send a schema as JSON text.
std::optional<ordered_json> schema_in(const JsonValue& text, OrderedBody& ordered) {
  const auto& source = text.raw().get_ref<const std::string&>();
  const auto schema =
      parse_json_object(source, {.what = "the text", .max_bytes = source.size(), .max_depth = kMaxJsonDepth});
  if (schema) return ordered.document(source, *schema);
  text.wrong("is a text that holds no JSON schema: {}", schema.error().message);
  return std::nullopt;
}

/// Objects of this schema and those below it that name properties have no others, where they don't say themselves.
void close_objects(ordered_json& schema) {
  static constexpr std::array kOfNames = {"properties", "patternProperties", "$defs", "definitions",
                                          "dependentSchemas"};
  static constexpr std::array kOne = {"items", "additionalProperties", "contains", "not", "if", "then",
                                      "else",  "propertyNames"};
  static constexpr std::array kLists = {"anyOf", "oneOf", "allOf", "prefixItems"};
  if (!schema.is_object()) return;
  const bool names = schema.contains("properties") || schema.contains("patternProperties");
  if (names && !schema.contains("additionalProperties") && !schema.contains("unevaluatedProperties"))
    schema["additionalProperties"] = false;
  const auto below = [&](const char* key) { return schema.find(key); };
  for (const char* key : kOfNames)
    if (const auto it = below(key); it != schema.end() && it->is_object())
      for (auto& s : *it) close_objects(s);
  for (const char* key : kOne)
    if (const auto it = below(key); it != schema.end()) close_objects(*it);
  for (const char* key : kLists)
    if (const auto it = below(key); it != schema.end() && it->is_array())
      for (auto& s : *it) close_objects(s);
}

struct SchemaRules {
  grammar::SchemaOptions options{};
  bool closed = false;  // disable_additional_properties
};

/// A schema: itself, or JSON text of it.
void read_schema(const JsonValue& at, const OrderedBody::Path& path, const SchemaRules& rules, OrderedBody& ordered,
                 GenerateRequest& q) {
  if (!at.present()) return;
  const json& raw = at.raw();
  if (!raw.is_object() && !raw.is_string() && !raw.is_boolean()) return at.wrong_type("a JSON schema");
  std::optional<ordered_json> own;
  const ordered_json* schema = nullptr;
  if (raw.is_string()) {
    own = schema_in(at, ordered);
    if (!own) return;
  } else {
    schema = ordered.at(path);
    if (schema == nullptr || rules.closed) own = schema == nullptr ? ordered_json(raw) : *schema;
  }
  if (own && rules.closed) close_objects(*own);
  bind_answer(at, grammar::from_json_schema(own ? *own : *schema, rules.options), q);
}

void read_regex(const JsonValue& at, GenerateRequest& q) {
  if (std::string pattern; at.into(pattern)) bind_answer(at, grammar::from_regex(pattern), q);
}

void read_choices(const JsonValue& at, GenerateRequest& q) {
  if (std::vector<std::string> choices; at.into(choices, Length{1, kMaxChoiceTexts}))
    bind_answer(at, grammar::from_choices(choices), q);
}

void read_ebnf(const JsonValue& at, GenerateRequest& q) {
  if (std::string text; at.into(text)) bind_answer(at, grammar::from_ebnf(text), q);
}

void read_object(const JsonValue& at, const grammar::SchemaOptions& options, GenerateRequest& q) {
  if (bool on = false; at.into(on) && on) bind_answer(at, grammar::json_object(options), q);
}

/// Other servers' engines, which all keep an answer to the same texts: nothing is chosen by it.
void check_backend(const JsonValue& at) {
  static constexpr std::array kKnown = {"auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer"};
  std::string name;
  if (!at.into(name)) return;
  const std::string_view plain = std::string_view(name).substr(0, name.find(':'));  // "xgrammar:no-fallback"
  for (const std::string_view known : kKnown)
    if (plain == known) return;
  at.wrong("must be auto, xgrammar, guidance, outlines or lm-format-enforcer, not '{}'", clip_utf8(name, kMaxShown));
}

void refuse_whitespace(const JsonValue& at) {
  if (at.present())
    at.wrong(
        "is not supported: white space is the usual, or that of json.dumps with "
        "structured_outputs.disable_any_whitespace");
}

/// vLLM's present form.
void read_outputs(JsonObject& body, OrderedBody& ordered, GenerateRequest& q) {
  JsonObject f = body.want("structured_outputs").object();
  if (!f.present()) return;
  SchemaRules rules;
  bool compact = false, no_fallback = false;
  f.want("disable_any_whitespace").into(compact);
  rules.options.any_whitespace = !compact;
  f.want("disable_additional_properties").into(rules.closed);
  f.want("disable_fallback").into(no_fallback);  // there is but one engine
  refuse_whitespace(f.want("whitespace_pattern"));
  if (const JsonValue tag = f.want("structural_tag"); tag.present())
    tag.wrong("is not supported; bind tool calls by tools and tool_choice");
  read_schema(f.want("json"), {"structured_outputs", "json"}, rules, ordered, q);
  read_regex(f.want("regex"), q);
  read_choices(f.want("choice"), q);
  read_ebnf(f.want("grammar"), q);
  read_object(f.want("json_object"), rules.options, q);
  f.closed();
  if (q.sampling.grammar.empty()) f.wrong("must name one of json, regex, choice, grammar or json_object");
}

}  // namespace

const ordered_json* OrderedBody::at(const Path& path) {
  if (!ordered_) ordered_ = order_.plain_of(text_, *sorted_);
  const ordered_json* value = &*ordered_;
  for (const std::string_view name : path) {
    if (!value->is_object()) return nullptr;
    const auto it = value->find(std::string(name));
    if (it == value->end()) return nullptr;
    value = &*it;
  }
  return value;
}

Result<SharedText> leg_grammar(const grammar::Grammar& grammar) {
  SLUICE_TRY(grammar::Automaton::check(grammar));  // here its field can be named; on a node it could not
  std::string text = grammar::to_ebnf(grammar);
  if (text.size() > control::kMaxGrammarBytes)
    return fail(Errc::invalid_argument, "it comes to a grammar of {} bytes; at most {} are allowed", text.size(),
                control::kMaxGrammarBytes);
  return SharedText(std::move(text));
}

void bind_answer(const JsonValue& at, const Result<grammar::Grammar>& grammar, GenerateRequest& q) {
  if (!q.sampling.grammar.empty())
    return at.wrong("is one too many: one field at most may say what form the answer has");
  const auto bound = grammar ? leg_grammar(*grammar) : std::unexpected(grammar.error());
  if (bound) {
    q.sampling.grammar = *bound;
    return;
  }
  const Error& e = bound.error();
  at.refuse({e.code, fmt::format("'{}' cannot be kept to: {}", at.path(), e.message), {}});
}

void read_format(const JsonValue& format, const OrderedBody::Path& path, FormatShape shape, OrderedBody& ordered,
                 GenerateRequest& q) {
  enum class Type { text, json_object, json_schema };
  static constexpr Named<Type> kTypes[] = {
      {"text", Type::text}, {"json_object", Type::json_object}, {"json_schema", Type::json_schema}};
  JsonObject f = format.object();
  if (!f.present()) return;
  Type type = Type::text;
  if (!f.need("type").into(type, kTypes) || type == Type::text) return;
  if (type == Type::json_object) return bind_answer(format, grammar::json_object(), q);
  const auto read = [&](JsonObject& schema, OrderedBody::Path at) {
    std::string ignored;  // labels: for people and for other tools
    bool strict = false;  // an answer is kept to its schema in any case
    schema.want("name").into(ignored, Length{1, kMaxFormatName});
    schema.want("description").into(ignored);
    schema.want("strict").into(strict);
    at.emplace_back("schema");
    read_schema(schema.need("schema"), at, {}, ordered, q);
  };
  if (shape == FormatShape::flat) return read(f, path);
  OrderedBody::Path nested = path;
  nested.emplace_back("json_schema");
  const JsonValue inner = f.need("json_schema");
  JsonObject schema = inner.object();
  if (schema.present()) read(schema, std::move(nested));
}

void read_structured(JsonObject& body, OrderedBody& ordered, GenerateRequest& q) {
  read_format(body.want("response_format"), {"response_format"}, FormatShape::nested, ordered, q);
  read_schema(body.want("guided_json"), {"guided_json"}, {}, ordered, q);
  read_regex(body.want("guided_regex"), q);
  read_choices(body.want("guided_choice"), q);
  read_ebnf(body.want("guided_grammar"), q);
  refuse_whitespace(body.want("guided_whitespace_pattern"));
  check_backend(body.want("guided_decoding_backend"));
  read_outputs(body, ordered, q);
}

}  // namespace sluice::coordinator
