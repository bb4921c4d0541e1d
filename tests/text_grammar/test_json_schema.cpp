// JSON schemas, keyword by keyword: what is refused and in which words, and the choices that a schema leaves open.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "recogniser.h"
#include "text/grammar/sources.h"

using namespace sluice;
using namespace sluice::text::grammar;

namespace {

using Json = nlohmann::ordered_json;

bool accepts(const char* schema, std::string_view text, SchemaOptions options = {}) {
  const auto g = from_json_schema(Json::parse(schema), options);
  INFO(schema);
  if (!g) throw std::runtime_error(g.error().message);
  return test::Recogniser(*g).accepts(text);
}

std::string error(const Json& schema) {
  const auto g = from_json_schema(schema);
  return g ? "" : g.error().message;
}
std::string error(const char* schema) { return error(Json::parse(schema)); }

bool says(const std::string& message, std::string_view part) {
  INFO(message);
  CHECK(message.find(part) != std::string::npos);
  return true;
}

}  // namespace

TEST_CASE("an unsupported keyword is refused by name, with its place") {
  for (const auto* k :
       {"not", "if", "dependentSchemas", "dependentRequired", "unevaluatedProperties", "contains", "minContains",
        "$dynamicRef", "nullable", "additionalItems", "propertyOrdering", "$recursiveRef"}) {
    const auto message = error(Json{{"properties", {{"a/b", {{k, Json::object()}}}}}});
    says(message, "'" + std::string(k) + "' is not supported");
    says(message, "/properties/a~1b: ");
  }
  says(error(R"({"$ref": "http://example.com/x"})"), "JSON pointers into the same schema");
  says(error(R"({"$ref": "#anchor"})"), "JSON pointers into the same schema");
  says(error(R"({"items": [{"type": "null"}]})"), "prefixItems");
  says(error(R"({"exclusiveMinimum": true})"), "draft 4");
  says(error(R"({"format": "idn-email"})"), "\"idn-email\" is not supported");
  says(error(R"({"type": "array", "items": {"type": "string"}, "uniqueItems": true})"),
       "uniqueItems is supported where");
  says(error(R"({"type": "object", "additionalProperties": true, "minProperties": 2})"), "minProperties of 2");
  says(error(R"-({"pattern": "(?=a)"})-"), "look-ahead");
  CHECK(from_json_schema(Json::parse(R"({"x-anything": 1, "title": "t", "type": "null", "$id": "https://x/y"})")));
}

TEST_CASE("a keyword with a value of the wrong kind is refused") {
  for (const auto* s : {R"({"type": "text"})", R"({"type": []})", R"({"enum": []})", R"({"required": "a"})",
                        R"({"minLength": -1})", R"({"minLength": 1.5})", R"({"minimum": "1"})", R"({"multipleOf": 0})",
                        R"({"properties": []})", R"({"properties": {"a": 1}})", R"({"anyOf": []})", R"({"items": 3})",
                        R"({"pattern": 1})", R"({"uniqueItems": 1})", R"({"$ref": 1})", R"([])", R"("x")", "null"})
    says(error(s), s[0] == '{' ? "must be" : "a schema is");
  says(error(R"({"$ref": "#/nowhere"})"), "leads nowhere");
  // Where branches are compared, too.
  says(error(R"({"oneOf": [{"type": "object", "properties": []}, {"type": "object", "properties": {}}]})"), "must be");
  says(error(R"({"oneOf": [{"$ref": 3}, {"type": "null"}]})"), "must be");
  says(error(R"({"oneOf": [{"type": "null"}, {"type": "null", "required": 1}]})"), "must be");
}

TEST_CASE("a schema that nothing satisfies is refused with the reason") {
  says(error("false"), "the schema false");
  says(error(R"({"type": "integer", "minimum": 5, "maximum": 4})"), "no number is within these bounds");
  says(error(R"({"type": "integer", "minimum": 5, "maximum": 6, "multipleOf": 4})"),
       "no number is within these bounds");
  says(error(R"({"type": "string", "minLength": 2, "maxLength": 1})"), "minLength is above maxLength");
  says(error(R"({"allOf": [{"type": "string"}, {"type": "null"}]})"), "no value is of this type");
  says(error(R"({"type": "string", "pattern": "^a$", "minLength": 2})"), "no text satisfies");
  says(error(R"({"enum": [1, 2], "type": "string"})"), "none of the listed values");
  says(error(R"({"type": "object", "properties": {"a": false}, "required": ["a"]})"), "'a' is not allowed");
  says(error(R"({"type": "object", "additionalProperties": false, "required": ["a"]})"), "'a' is not allowed");
  says(error(R"({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})"), "without end");
  says(error(R"({"type": "array", "items": false, "minItems": 1})"), "minItems is above");
  says(error(R"({"type": "object", "properties": {"a": {}}, "minProperties": 2})"), "minProperties is above");
  // What cannot be is left out where something else can.
  CHECK(accepts(R"({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 2, "maximum": 1}]})", "null"));
}

TEST_CASE("references come back through values only") {
  says(error(R"({"$ref": "#"})"), "comes back to itself");
  says(error(R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})"), "comes back to itself");
  says(
      error(R"({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})"),
      "comes back to itself");
  CHECK(accepts(R"({"type": "array", "items": {"$ref": "#"}})", "[[],[[]]]"));
  // The same schema twice is no circle.
  CHECK(accepts(R"({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}})",
                "null"));
}

TEST_CASE("objects and arrays are closed unless asked otherwise") {
  const auto* object = R"({"type": "object", "properties": {"a": {"type": "integer"}}})";
  CHECK(accepts(object, R"({"a":1})"));
  CHECK_FALSE(accepts(object, R"({"a":1,"b":2})"));
  CHECK(accepts(object, R"({"a":1,"b":2})", {.closed = false}));
  CHECK_FALSE(accepts(object, R"({"a":1,"a":2})", {.closed = false}));
  const auto* array = R"({"type": "array", "prefixItems": [{"type": "integer"}]})";
  CHECK_FALSE(accepts(array, "[1,2]"));
  CHECK(accepts(array, "[1,2]", {.closed = false}));
  CHECK(accepts(R"({"type": "object", "required": ["x"]})", R"({"x":1,"y":2})"));
}

// With any white space between any two tokens, a model at temperature 0 filled answers with it until its tokens were
// spent. What writers of JSON write is enough.
TEST_CASE("white space is what writers of JSON write, or exactly what json.dumps writes") {
  const auto* s =
      R"({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "null"}}}, "required": ["a"]})";
  CHECK(accepts(s, R"({"a":[null,null]})"));
  CHECK(accepts(s, R"({ "a": [ null, null ] })"));
  CHECK(accepts(s, "{\n  \"a\": [\n    null,\n    null\n  ]\n}"));
  CHECK(accepts(s, "{\n\t\"a\":[\n\t\tnull,\n\t\tnull\n\t]\n}"));
  CHECK(accepts(s, "{\n" + std::string(16, ' ') + R"("a":[]})"));
  for (const char* never : {R"({"a" :[]})", R"({"a":  []})", R"({  "a":[]})", R"({"a":[null ,null]})", "{\"a\":\n[]}",
                            "{\t\"a\":[]}", "{\n\n\"a\":[]}", "{\r\n\"a\":[]}", "{\n \t\"a\":[]}"})
    CHECK_FALSE(accepts(s, never));
  CHECK_FALSE(accepts(s, "{\n" + std::string(17, ' ') + R"("a":[]})"));
  CHECK_FALSE(accepts(s, R"( {"a":[null,null]})"));
  CHECK(accepts(s, R"({"a": [null, null]})", {.any_whitespace = false}));
  CHECK_FALSE(accepts(s, R"({"a":[null, null]})", {.any_whitespace = false}));
}

TEST_CASE("strings are counted in characters, however they are written") {
  const auto* s = R"({"type": "string", "minLength": 2, "maxLength": 2})";
  for (const auto* two : {R"("ab")", R"("\u00e9é")", R"("\ud83d\ude00😀")", R"("\n\"")", R"("\/\\")", R"("\u0000a")"})
    CHECK(accepts(s, two));
  for (const auto* other : {R"("a")", R"("\ud83d\ude00")", R"("abc")", R"("\ud83dx")", "\"a\nb\"", R"("\x")"})
    CHECK_FALSE(accepts(s, other));
  // A name that is listed cannot come again as another, in any spelling.
  const auto* o =
      R"({"type": "object", "properties": {"ab": {"type": "null"}}, "additionalProperties": {"type": "integer"}})";
  CHECK(accepts(o, R"({"ab":null,"abc":1})"));
  CHECK_FALSE(accepts(o, R"({"\u0061b":1})"));
  CHECK_FALSE(accepts(o, R"({"ab":1})"));
}

TEST_CASE("numbers: bounds of any length, exactly") {
  const auto* s = R"({"type": "integer", "minimum": 99999999999999999999, "maximum": 1e21})";
  CHECK(accepts(s, "100000000000000000000"));
  CHECK_FALSE(accepts(s, "99999999999999999998"));
  CHECK(accepts(s, "1000000000000000000000"));
  CHECK_FALSE(accepts(s, "1000000000000000000001"));
  for (const auto* no : {"01", "-0", "1.0", "1e2", "+1", "", "-"}) CHECK_FALSE(accepts(R"({"type": "integer"})", no));
  for (const auto* yes : {"-0.0", "1e5", "1E-05", "0.10", "10"}) CHECK(accepts(R"({"type": "number"})", yes));
  for (const auto* no : {"1.", ".5", "00", "1e", "1e300", "NaN"}) CHECK_FALSE(accepts(R"({"type": "number"})", no));
  for (int i = -30; i <= 30; ++i) {
    const auto text = std::to_string(i);
    CHECK(accepts(R"({"type": "integer", "minimum": -12, "exclusiveMaximum": 21, "multipleOf": 3})", text) ==
          (i >= -12 && i < 21 && i % 3 == 0));
    CHECK(accepts(R"({"type": "number", "exclusiveMinimum": -1.2, "maximum": 2.1})",
                  (i < 0 ? "-" : "") + std::to_string(std::abs(i) / 10) + "." + std::to_string(std::abs(i) % 10)) ==
          (i > -12 && i <= 21 && i != 0) + (i == 0));
  }
  CHECK(accepts(R"({"type": "number", "multipleOf": 0.01})", "19.99"));
  CHECK_FALSE(accepts(R"({"type": "number", "multipleOf": 0.01})", "19.999"));
  says(error(R"({"type": "integer", "multipleOf": 123457})"), "multiples of numbers above");
  CHECK(accepts(R"({"type": "integer", "format": "int32"})", "-2147483648"));
  CHECK_FALSE(accepts(R"({"type": "integer", "format": "int32"})", "2147483648"));
}

TEST_CASE("oneOf needs branches that exclude each other") {
  says(error(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})"), "more than one branch of oneOf");
  says(error(R"({"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]})"),
       "more than one branch of oneOf");
  CHECK(accepts(R"({"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^b"}]})", "\"bx\""));
  // A const that may be left out tells branches apart once it may not.
  const auto* tagged = R"({"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
      "discriminator": {"propertyName": "kind", "mapping": {}},
      "$defs": {"A": {"type": "object", "properties": {"kind": {"const": "A", "default": "A"}, "x": {"type": "integer"}}},
                "B": {"type": "object", "properties": {"kind": {"const": "B", "default": "B"}, "y": {"type": "integer"}}}}})";
  CHECK(accepts(tagged, R"({"kind":"A","x":1})"));
  CHECK(accepts(tagged, R"({"kind":"B"})"));
  CHECK_FALSE(accepts(tagged, R"({"x":1})"));
}

TEST_CASE("a grammar made from a schema goes through its text unchanged") {
  for (const auto* s :
       {R"({"type": "object", "properties": {"a": {"type": "string", "format": "uuid"}, "b": {"$ref": "#"}}})",
        R"({"type": "array", "items": {"type": "number", "minimum": 0.5}, "minItems": 2})", "true"}) {
    const auto g = from_json_schema(Json::parse(s));
    REQUIRE(g);
    const auto text = to_ebnf(*g);
    const auto again = from_ebnf(text);
    REQUIRE(again);
    CHECK(to_ebnf(*again) == text);
    test::Recogniser r(*again);
    for (std::uint64_t seed = 0; seed < 10; ++seed) CHECK(r.accepts(test::Walker(*g, seed).walk(100)));
  }
}

TEST_CASE("a hostile schema is refused or read within moments") {
  const auto timed = [](const Json& schema) {
    const auto begin = std::chrono::steady_clock::now();
    const auto message = error(schema);
    const auto took = std::chrono::steady_clock::now() - begin;
    INFO(message << " after " << std::chrono::duration<double>(took).count() << " s");
    CHECK(took < std::chrono::seconds(2));  // a second of an idle machine at the very most
    return message;
  };
  Json deep = {{"type", "null"}};
  for (int i = 0; i < 2000; ++i) deep = {{"items", deep}};
  says(timed(deep), "nested deeper");
  Json bomb = {{"$defs", {{"d0", {{"type", "integer"}}}}}, {"$ref", "#/$defs/d40"}};
  for (int i = 1; i <= 40; ++i) {
    const auto below = "#/$defs/d" + std::to_string(i - 1);
    bomb["$defs"]["d" + std::to_string(i)] = {{"anyOf", {{{"$ref", below}}, {{"$ref", below}}}}};
  }
  says(timed(bomb), "too large");
  Json product = {{"allOf", Json::array()}};
  for (int i = 0; i < 24; ++i) product["allOf"].push_back({{"anyOf", {{{"minimum", i}}, {{"maximum", 100 - i}}}}});
  says(timed(product), "too large");
  says(timed({{"type", "string"}, {"minLength", 1000000000}}), "a length of more than");
  says(timed({{"type", "array"}, {"minItems", 1000000000}}), "items is not supported");
  says(timed({{"type", "string"}, {"pattern", "(a{1000}){1000}b"}, {"maxLength", 9}}), "too large an automaton");
  says(timed({{"type", "string"}, {"pattern", "(a|b)*a(a|b){20}$"}, {"maxLength", 9999}}), "automaton");
  says(timed({{"type", "string"}, {"pattern", "a{1000000000}"}}), "counts beyond");
  Json wide = {{"type", "object"}, {"properties", Json::object()}, {"minProperties", 900}};
  for (int i = 0; i < 1000; ++i) wide["properties"]["p" + std::to_string(i)] = {{"type", "null"}};
  says(timed(wide), "");
  Json patterns = {{"type", "object"}, {"patternProperties", Json::object()}};
  for (int i = 0; i < 20; ++i)
    patterns["patternProperties"]["^[a-z]{" + std::to_string(i + 1) + "}.*x"] = {{"type", "null"}};
  says(timed(patterns), "patternProperties");
  Json one = {{"oneOf", Json::array()}};
  for (int i = 0; i < 60; ++i)
    one["oneOf"].push_back({{"type", "object"}, {"properties", {{"k", {{"const", i}}}}}, {"required", {"k"}}});
  CHECK(timed(one).empty());
  Json values = {{"enum", Json::array()}};
  for (int i = 0; i < 20000; ++i) values["enum"].push_back("value " + std::to_string(i));
  CHECK(timed(values).empty());
}

TEST_CASE("a schema of 200 parts becomes a grammar in milliseconds") {
  Json schema = {{"type", "object"}, {"properties", Json::object()}, {"required", Json::array()}};
  for (int i = 0; i < 40; ++i) {
    const auto n = std::to_string(i);
    schema["properties"]["p" + n] = {
        {"type", "object"},
        {"properties",
         {{"id", {{"type", "integer"}, {"minimum", 0}, {"maximum", 1000 + i}}},
          {"name", {{"type", "string"}, {"minLength", 1}, {"maxLength", 40}}},
          {"when", {{"type", "string"}, {"format", "date-time"}}},
          {"tags", {{"type", "array"}, {"items", {{"enum", {"a" + n, "b", "c"}}}}, {"maxItems", 5}}}}},
        {"required", {"id", "name"}}};
    if (i % 2 == 0) schema["required"].push_back("p" + n);
  }
  auto best = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    REQUIRE(from_json_schema(schema));
    best = std::min(best, std::chrono::steady_clock::now() - begin);
  }
  const auto milliseconds = std::chrono::duration<double, std::milli>(best).count();
  WARN("a schema of 200 parts: " << milliseconds << " ms");
  CHECK(milliseconds < 50);  // 10 ms where nothing else runs
}
