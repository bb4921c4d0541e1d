// Fields that bind an answer, on their way to the one grammar that a leg carries.
#include "coordinator/api/structured_fields.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "tests/coordinator_api/request_bodies.h"
#include "text/grammar/sources.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;
namespace grammar = text::grammar;

const std::string kSchema =
    R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"]})";

std::string quoted(const std::string& text) { return json(text).dump(); }

/// The grammar of a request with these fields; "" if there is none.
std::string bound(const std::string& fields, bool chat = true) {
  const auto r = parse(chat, with(chat, fields));
  if (!r) FAIL(r.error().message);
  return r->sampling.grammar.value();
}

ApiError refused(const std::string& fields) {
  const auto r = parse(true, with(true, fields));
  if (r) FAIL("accepted: " << fields);
  return r.error();
}

std::string of(const grammar::Grammar& g) { return grammar::to_ebnf(g); }
std::string of(const Result<grammar::Grammar>& g) { return of(g.value()); }

TEST_CASE("every way to say a form leads to its grammar, in chats and completions") {
  const auto schema = of(grammar::from_json_schema(nlohmann::ordered_json::parse(kSchema)));
  const auto object = of(grammar::json_object());
  const std::vector<std::string> choices = {"yes", "no"};
  const std::pair<std::string, std::string> cases[] = {
      {"", ""},
      {R"("response_format":{"type":"text"})", ""},
      {R"("response_format":null)", ""},
      {R"("response_format":{"type":"json_object"})", object},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"p","strict":true,"description":"d","schema":)" +
           kSchema + "}}",
       schema},
      {R"("guided_json":)" + kSchema, schema},
      {R"("guided_json":)" + quoted(kSchema), schema},
      {R"("guided_regex":"[a-c]+")", of(grammar::from_regex("[a-c]+"))},
      {R"("guided_choice":["yes","no"])", of(grammar::from_choices(choices))},
      {R"("guided_grammar":"root ::= \"a\" root | \"b\"")", of(grammar::from_ebnf("root ::= \"a\" root | \"b\""))},
      {R"("structured_outputs":{"json":)" + kSchema + "}", schema},
      {R"("structured_outputs":{"json":)" + quoted(kSchema) + "}", schema},
      {R"("structured_outputs":{"regex":"[a-c]+"})", of(grammar::from_regex("[a-c]+"))},
      {R"("structured_outputs":{"choice":["yes","no"]})", of(grammar::from_choices(choices))},
      {R"("structured_outputs":{"grammar":"root ::= \"a\""})", of(grammar::from_ebnf("root ::= \"a\""))},
      {R"("structured_outputs":{"json_object":true})", object},
      {R"("structured_outputs":{"json_object":true,"disable_any_whitespace":true})",
       of(grammar::json_object({.any_whitespace = false}))},
      {R"("guided_regex":"a","guided_decoding_backend":"xgrammar:no-fallback")", of(grammar::from_regex("a"))},
  };
  for (const auto& [fields, want] : cases) {
    CAPTURE(fields);
    CHECK(bound(fields) == want);
    CHECK(bound(fields, false) == want);
  }
}

TEST_CASE("properties keep their author's order") {
  const auto there = bound(R"("guided_json":{"type":"object","properties":{"b":{"const":1},"a":{"const":2}},)"
                           R"("required":["a","b"],"additionalProperties":false})");
  const auto b = there.find("\\\"b\\\""), a = there.find("\\\"a\\\"");
  INFO(there);
  REQUIRE(a != std::string::npos);
  REQUIRE(b != std::string::npos);
  CHECK(b < a);
}

TEST_CASE("objects are closed where that is asked for, but where they say otherwise") {
  const std::string open = R"({"type":"object","properties":{"a":{"type":"object","properties":{}}}})";
  const std::string closed =
      R"({"type":"object","properties":{"a":{"type":"object","properties":{},"additionalProperties":false}},)"
      R"("additionalProperties":false})";
  const auto is = [](const std::string& schema, const std::string& more = "") {
    return bound(R"("structured_outputs":{"json":)" + schema + more + "}");
  };
  CHECK(is(open, R"(,"disable_additional_properties":true)") == is(closed));
  CHECK(is(R"({"type":"object","patternProperties":{"^a$":{"type":"null"}}})",
           R"(,"disable_additional_properties":true)") ==
        is(R"({"type":"object","patternProperties":{"^a$":{"type":"null"}},"additionalProperties":false})"));
  const std::string says = R"({"type":"object","properties":{"a":{}},"additionalProperties":{"type":"integer"}})";
  CHECK(is(says, R"(,"disable_additional_properties":true)") == is(says));
}

TEST_CASE("what cannot be honoured is refused by its name") {
  const std::pair<std::string, std::string> cases[] = {
      {R"("response_format":{})", "response_format.type"},
      {R"("response_format":"text")", "response_format"},
      {R"("response_format":{"type":"structural_tag","structures":[]})", "response_format.type"},
      {R"("response_format":{"type":"json_schema"})", "response_format.json_schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})", "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{"type":"nothing"}}})",
       "response_format.json_schema.schema"},
      {R"("guided_json":"{")", "guided_json"},
      {R"("guided_json":7)", "guided_json"},
      {R"x("guided_regex":"(")x", "guided_regex"},
      {R"("guided_regex":["a"])", "guided_regex"},
      {R"("guided_choice":[])", "guided_choice"},
      {R"("guided_choice":"yes")", "guided_choice"},
      {R"x("guided_grammar":"root ::= (")x", "guided_grammar"},
      {R"("guided_whitespace_pattern":" ")", "guided_whitespace_pattern"},
      {R"("guided_decoding_backend":"mine")", "guided_decoding_backend"},
      {R"("structured_outputs":{})", "structured_outputs"},
      {R"("structured_outputs":{"json_object":false})", "structured_outputs"},
      {R"("structured_outputs":{"structural_tag":"{}"})", "structured_outputs.structural_tag"},
      {R"("structured_outputs":{"regex":"a","whitespace_pattern":" "})", "structured_outputs.whitespace_pattern"},
      {R"("structured_outputs":{"regex":"a","what":1})", "structured_outputs.what"},
      {R"("structured_outputs":{"regex":"a","choice":["b"]})", "structured_outputs.choice"},
      {R"("guided_regex":"a","guided_choice":["b"])", "guided_choice"},
      {R"("response_format":{"type":"json_object"},"guided_regex":"a")", "guided_regex"},
  };
  for (const auto& [fields, param] : cases) {
    CAPTURE(fields);
    const auto e = refused(fields);
    CAPTURE(e.message);
    CHECK(e.status == 400);
    CHECK(e.param == param);
  }
}

TEST_CASE("a schema's mistake is named by its place") {
  const auto e = refused(R"("guided_json":{"type":"object","properties":{"a":{"type":"nothing"}}})");
  CAPTURE(e.message);
  CHECK(e.message.find("/properties/a") != std::string::npos);
}

// 3,000 optional properties passed the coordinator, and the decode node refused them without a word of the field.
TEST_CASE("what no node could compile is refused where its field has a name") {
  json properties = json::object();
  for (int i = 0; i < 3000; ++i) properties["p" + std::to_string(i)] = {{"type", "boolean"}};
  const json schema = {{"type", "object"}, {"properties", properties}};
  const auto e = refused("\"guided_json\":" + schema.dump());
  CHECK(e.status == 400);
  CHECK(e.param == "guided_json");
  CHECK(e.message.find("optional parts in a row") != std::string::npos);
}

TEST_CASE("a format that lies in another field is read there") {
  const std::string body = R"({"text":{"format":{"type":"json_schema","name":"p","schema":)" + kSchema + "}}}";
  const json sorted = json::parse(body);
  JsonReader in(sorted, {});
  JsonObject fields = in.object();
  OrderedBody ordered(body, sorted);
  GenerateRequest q;
  const JsonValue text = fields.want("text");
  JsonObject inside = text.object();
  read_format(inside.want("format"), {"text", "format"}, FormatShape::flat, ordered, q);
  REQUIRE(in.ok());
  CHECK(q.sampling.grammar.value() == of(grammar::from_json_schema(nlohmann::ordered_json::parse(kSchema))));
}

TEST_CASE("hostile schemas cost little") {
  std::string deep = "{}", wide, refs;
  for (int i = 0; i < 40; ++i) deep = R"({"type":"object","properties":{"a":)" + deep + "}}";
  for (int i = 0; i < 3000; ++i) wide += (i > 0 ? "," : "") + fmt::format(R"("p{}":{{"type":"string"}})", i);
  for (int i = 0; i < 200; ++i)
    refs += (i > 0 ? "," : "") + fmt::format(R"("d{}":{{"anyOf":[{{"$ref":"#/$defs/d{}"}},{{"$ref":"#/$defs/d{}"}}]}})",
                                             i, (i + 1) % 200, (i + 7) % 200);
  const std::string bodies[] = {
      R"("guided_json":)" + deep,
      R"("guided_json":{"type":"object","properties":{)" + wide + "}}",
      R"("guided_json":{"$ref":"#/$defs/d0","$defs":{)" + refs + "}}",
      R"("guided_json":{"type":"array","minItems":1000000,"maxItems":1000000000})",
      R"x("guided_regex":"((((((((((a{1,1000}){1,1000}){1,1000}){1,1000}){1,1000})*)*)*)*)*)")x",
      R"("guided_regex":"(a|aa|aaa)*(b*)*(c+)+d{5000}")",
      R"("guided_grammar":"root ::= root root | root")",
  };
  for (const auto& fields : bodies) {
    CAPTURE(fields.substr(0, 80));
    const auto begin = std::chrono::steady_clock::now();
    const auto r = parse(true, with(true, fields));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
    if (r) CHECK(r->sampling.grammar.value().size() <= control::kMaxGrammarBytes);
    if (!r) CHECK(r.error().status == 400);
  }
}

}  // namespace
}  // namespace sluice::test
