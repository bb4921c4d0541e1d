// Tool calls told from text, format by format, at every cut.
#include <catch2/catch.hpp>

#include "tests/text_output/cuts.h"
#include "text/output/formats.h"

namespace sluice::test {
namespace {

using namespace sluice::text::output;

struct Reader {
  ToolFormat format;
  bool eager = false;
  std::string operator()(std::string_view text) const {
    return read_at_every_cut(
        [this] { return make_parser({format, ReasoningFormat::none}, {.calls = true, .eager = eager}); }, text);
  }
};

const Reader hermes{ToolFormat::hermes};
const Reader llama{ToolFormat::llama3_json};
const Reader mistral{ToolFormat::mistral};
const Reader pythonic{ToolFormat::pythonic};

TEST_CASE("hermes: calls between tags") {
  CHECK(hermes("just text") == "just text");
  CHECK(hermes("") == "");
  CHECK(hermes(R"(<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>)") == R"(|f{"a":1})");
  CHECK(hermes("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"<tool_call>\"}}\n</tool_call>\n"
               "<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>\n") == R"(|f{"a": "<tool_call>"}|g{})");
  CHECK(hermes("Let me see.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> done") ==
        "Let me see.\n done|f{}");
  CHECK(hermes("\n\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>") == "|f{}");
}

TEST_CASE("hermes: keys in any order, no arguments, no closing tag, known keys beside") {
  CHECK(hermes(R"(<tool_call>{"arguments":{"a":[1,{"b":"}"}]},"name":"f"}</tool_call>)") == R"(|f{"a":[1,{"b":"}"}]})");
  CHECK(hermes(R"(<tool_call>{"name":"f"}</tool_call>)") == "|f{}");
  CHECK(hermes(R"(<tool_call>{"id":"x","type":"function","name":"f","parameters":{}})") == "|f{}");
  CHECK(hermes("<tool_call>{\"name\":\"f\"}\n<tool_call>{\"name\":\"g\"}") == "|f{}|g{}");
  CHECK(hermes("<tool_call>{\"name\":\"f\"} and <b>") == " and <b>|f{}");
  CHECK(hermes(R"(<tool_call>{"name":"\u0066.g-1"}</tool_call>)") == "|f.g-1{}");
}

TEST_CASE("hermes: what is no well-formed call stays content, and what follows is read") {
  for (const std::string_view bad :
       {"<tool_call", "<tool_call>", "<tool_call> x", "<tool_call>{}", "<tool_call>{\"name\":1}</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":}}</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":[]}", "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}",
        "<tool_call>{\"name\":\"f g\"}", "<tool_call>{\"name\":\"\"}", "<tool_call>{\"name\":\"f\",\"name\":\"g\"}",
        "<tool_call>{\"x\":1,\"name\":\"f\"}", "<tool_call>[1]</tool_call>",
        "<tool_call>{\"name\":\"f\",\"arguments\":\"{}\"}", "a <tool <tool_call <<tool_call"}) {
    CAPTURE(bad);
    CHECK(hermes(bad) == bad);
    CHECK(hermes(std::string(bad) + "!<tool_call>{\"name\":\"g\"}</tool_call>") == std::string(bad) + "!|g{}");
  }
  CHECK(hermes("<tool_call><tool_call>{\"name\":\"g\"}</tool_call>") == "<tool_call>|g{}");
}

TEST_CASE("an eager parser tells a call as it is written, and cuts short what goes wrong") {
  const Reader eager{ToolFormat::hermes, true};
  CHECK(eager(R"(<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>)") == R"(|f{"a":1})");
  CHECK(eager(R"(<tool_call>{"name":"f","arguments":{"a":1)") == R"(|f{"a":1)");
  CHECK(eager(R"(<tool_call>{"name":"f","arguments":{"a":!}} x)") == R"(!}} x|f{"a":)");
  CHECK(eager(R"(<tool_call>{"name":"f"}</tool_call>)") == "|f{}");
  CHECK(eager(R"(<tool_call>{"name":"f")") == R"(<tool_call>{"name":"f")");
  CHECK(eager(R"(<tool_call>{"arguments":{"a":1},"name":"f"}<tool_call>{"name":"g"})") == R"(|f{"a":1}|g{})");

  auto parser = make_parser({ToolFormat::hermes, ReasoningFormat::none}, {.calls = true, .eager = true});
  CHECK(parser->push(R"(<tool_call>{"name":"f","arg)").empty());
  auto first = parser->push(R"(uments": {"a)");
  REQUIRE(first.calls.size() == 1);
  CHECK(first.calls[0].name == "f");
  CHECK(first.calls[0].arguments == R"({"a)");
  auto next = parser->push(R"(": 1})");
  REQUIRE(next.calls.size() == 1);
  CHECK_FALSE(next.calls[0].name);
  CHECK(next.calls[0].arguments == R"(": 1})");
}

TEST_CASE("llama3_json: objects at the start or behind the tag, with semicolons between") {
  CHECK(llama("just text; {x}") == "just text; {x}");
  CHECK(llama(R"({"name": "f", "parameters": {"a": 1}})") == R"(|f{"a": 1})");
  CHECK(llama(R"(<|python_tag|>{"name": "f", "parameters": {"a": 1}})") == R"(|f{"a": 1})");
  CHECK(llama(R"({"name":"f","parameters":{}}; {"name":"g","parameters":{}})") == "|f{}|g{}");
  CHECK(llama(R"( {"type":"function","name":"f","parameters":{}} ;)") == " ;|f{}");
  CHECK(llama(R"(Yes. <|python_tag|>{"name":"f","arguments":{}} bye)") == "Yes.  bye|f{}");
}

TEST_CASE("llama3_json: JSON that is no call stays content") {
  for (const std::string_view bad :
       {R"({"answer": 42})", R"({"name": "f", "parameters": 1})", R"({"name": "f", "parameters": {"a": 1})",
        R"(<|python_tag|>print("x"))", "<|python_tag|>", "<|python", "{", "text {\"name\": \"f\"}"}) {
    CAPTURE(bad);
    CHECK(llama(bad) == bad);
  }
  CHECK(llama(R"({"name":"f"}; {"a":1})") == R"(; {"a":1}|f{})");
}

TEST_CASE("mistral: a list of objects, or names with their arguments") {
  CHECK(mistral("just [text]") == "just [text]");
  CHECK(
      mistral(R"([TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}, "id": "abc"}])") ==
      R"(|f{"a": 1}|g{})");
  CHECK(mistral(R"([TOOL_CALLS]f{"a": "]"}[TOOL_CALLS]g{})") == R"(|f{"a": "]"}|g{})");
  CHECK(mistral(R"(Sure.[TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g[CALL_ID]x12[ARGS]{})") == R"(Sure.|f{"a": 1}|g{})");
}

TEST_CASE("mistral: what is no well-formed call stays content") {
  for (const std::string_view bad : {"[TOOL_CALLS]", "[TOOL_CALLS] []", "[TOOL_CALLS] [1]", "[TOOL_CALLS]f",
                                     "[TOOL_CALLS]f[ARG]{}", "[TOOL_CALLS]f g{}", "[TOOL_CALLS]f{\"a\"}",
                                     "[TOOL_CALLS]f{", "[TOOL", "[TOOL_CALLS] [{\"name\":\"f\",\"x\":1}]"}) {
    CAPTURE(bad);
    CHECK(mistral(bad) == bad);
    CHECK(mistral(std::string(bad) + "![TOOL_CALLS]g{}") == std::string(bad) + "!|g{}");
  }
  CHECK(mistral(R"([TOOL_CALLS] [{"name":"f"}, 5])") == ", 5]|f{}");
  CHECK(mistral(R"([TOOL_CALLS] [{"name":"f"})") == "|f{}");
}

TEST_CASE("pythonic: literals become JSON") {
  CHECK(pythonic("just [text]") == "just [text]");
  CHECK(pythonic(R"([f(a=1, b="x"), g()])") == R"(|f{"a": 1, "b": "x"}|g{})");
  CHECK(pythonic("<|python_start|>[f()]<|python_end|>") == "|f{}");
  CHECK(pythonic(" [ f ( a = -1.5e3 , ) ] ") == " [ f ( a = -1.5e3 , ) ] ");  // no space before the bracket
  CHECK(pythonic(" [ f( a = -1.5e3 , ) , ] ") == R"(|f{"a": -1.5e3})");
  CHECK(pythonic("[f(a=True, b=False, c=None, d=true, e=null)]") ==
        R"(|f{"a": true, "b": false, "c": null, "d": true, "e": null})");
  CHECK(pythonic("[f(a=[1, 'x', (2, 3), ], b={'k': {\"l\": []}, })]") ==
        R"(|f{"a": [1, "x", [2, 3]], "b": {"k": {"l": []}}})");
  CHECK(pythonic(R"([f(a='it\'s "so"\n', b="\x41\u00e9\U0001F600\q")])") ==
        "|f{\"a\": \"it's \\\"so\\\"\\u000a\", \"b\": \"\\u0041\\u00e9\xF0\x9F\x98\x80\\\\q\"}");
  CHECK(pythonic(R"([f(**{"a": [true, "b"]}), g(**{})])") == R"(|f{"a": [true, "b"]}|g{})");
}

TEST_CASE("pythonic: what is no list of calls stays content") {
  for (const std::string_view bad : {"[",
                                     "[]",
                                     "[1, 2]",
                                     "[f]",
                                     "[f(1)]",
                                     "[f(a)]",
                                     "[f(a=)]",
                                     "[f(a=b)]",
                                     "[f(a=1",
                                     "[f(a=1_0)]",
                                     "[f(a='x)]",
                                     "[f(a=01)]",
                                     "[f(a={1: 2})]",
                                     "[f(a=1 b=2)]",
                                     "[f(a=[1,,2])]",
                                     "[f(**1)]",
                                     "[note (see below)]",
                                     "<|python_st",
                                     "<|python_start|>x",
                                     "x [f()]",
                                     "[f(*{})]"}) {
    CAPTURE(bad);
    CHECK(pythonic(bad) == bad);
  }
  CHECK(pythonic("[f(), 1]") == ", 1]|f{}");
  CHECK(pythonic("[f()] and more") == " and more|f{}");
  const Reader eager{ToolFormat::pythonic, true};
  CHECK(eager("[f(a=1, b='x") == R"(|f{"a": 1, "b": "x)");
  CHECK(eager("[f(a=1), g()]") == R"(|f{"a": 1}|g{})");
}

TEST_CASE("arguments nested without end are no call, and cost no stack") {
  const std::string deep = "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":" + std::string(100'000, '[');
  const auto parser = make_parser({ToolFormat::hermes, ReasoningFormat::none}, {.calls = true});
  auto out = parser->push(deep);
  out.append(parser->finish());
  CHECK(out.content == deep);
}

}  // namespace
}  // namespace sluice::test
