// What the grammars of tool calls allow, each format's own parser reads; and they allow nothing else.
#include "text/output/call_grammar.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/text_output/cuts.h"
#include "text/grammar/matcher.h"
#include "text/grammar/sources.h"

namespace sluice::test {
namespace {

using namespace sluice::text::output;
namespace grammar = text::grammar;

enum class Where { alone, in_text };

/// A grammar as it travels, followed byte by byte.
class Bound {
 public:
  explicit Bound(grammar::Grammar g) {
    const auto read = grammar::from_ebnf(grammar::to_ebnf(g));
    REQUIRE(read);
    std::vector<std::string> bytes;
    for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
    bytes.emplace_back();
    auto automaton = grammar::Automaton::compile(*read, grammar::Vocabulary::create(std::move(bytes), 257, {256}));
    REQUIRE(automaton);
    automaton_ = *automaton;
  }
  [[nodiscard]] bool allows(std::string_view text) const {
    grammar::Matcher m(automaton_);
    return m.accept_text(text) && m.may_end();
  }

 private:
  std::shared_ptr<const grammar::Automaton> automaton_;
};

std::vector<CallRule> rules(grammar::Grammar& g) {
  const auto arguments = nlohmann::ordered_json::parse(
      R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false})");
  const auto node = add_json_schema(g, arguments, {.any_whitespace = false});
  REQUIRE(node);
  return {{"f", *node}, {"g.h", g.literal("{}")}};
}

Bound bound(ToolFormat format, Where where, bool parallel = true) {
  grammar::Grammar g;
  const auto r = rules(g);
  g.set_root(where == Where::alone ? add_calls(g, r, format, parallel) : add_text_with_calls(g, r, format, parallel));
  return Bound(std::move(g));
}

std::string read(ToolFormat format, std::string_view text) {
  return read_pieces([&] { return make_parser({format, ReasoningFormat::none}, {.calls = true, .eager = true}); },
                     {text});
}

struct Case {
  ToolFormat format;
  std::string one, two;  // calls that must be allowed
  std::string wrong;     // arguments that are not the schema's
  std::string in_text;   // calls behind other text, or as they begin an answer of any text
  std::string wrong_in_text;
};

const Case kCases[] = {
    {ToolFormat::hermes, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"g.h\", "
     "\"arguments\": {}}\n</tool_call>",
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>",
     "So <b>: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call> done",
     "So: <tool_call>\n{\"name\": \"f\", \"arguments\": {}}"},
    {ToolFormat::llama3_json, R"({"name": "f", "parameters": {"a": 1}})",
     R"({"name": "f", "parameters": {"a": 1}}; {"name": "g.h", "parameters": {}})",
     R"({"name": "f", "parameters": {}})", R"(<|python_tag|>{"name": "f", "parameters": {"a": 1}})",
     R"({"name": "f", "parameters": {}})"},
    {ToolFormat::mistral, R"([TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}])",
     R"([TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}, {"name": "g.h", "arguments": {}}])",
     R"([TOOL_CALLS][{"name": "f", "arguments": {}}])", R"(So: [TOOL_CALLS][{"name": "f", "arguments": {"a": 1}}])",
     R"(So: [TOOL_CALLS] none)"},
    {ToolFormat::mistral_args, R"([TOOL_CALLS]f[ARGS]{"a": 1})",
     R"([TOOL_CALLS]f[ARGS]{"a": 1}[TOOL_CALLS]g.h[ARGS]{})", R"([TOOL_CALLS]f[ARGS]{})",
     R"(So: [TOOL_CALLS]f[ARGS]{"a": 1})", R"(So: [TOOL_CALLS]x[ARGS]{})"},
    {ToolFormat::pythonic, R"([f(**{"a": 1})])", R"([f(**{"a": 1}), g.h(**{})])", R"([f(**{})])",
     R"(<|python_start|>[f(**{"a": 1})]<|python_end|>)", R"([f(a=1)])"},
};

TEST_CASE("calls alone: of the functions, with arguments by their schemas, as the parser reads them") {
  for (const auto& c : kCases) {
    CAPTURE(c.one);
    const auto several = bound(c.format, Where::alone);
    CHECK(several.allows(c.one));
    CHECK(several.allows(c.two));
    CHECK_FALSE(several.allows(c.wrong));
    CHECK_FALSE(several.allows(""));
    CHECK_FALSE(several.allows("text"));
    const auto single = bound(c.format, Where::alone, false);
    CHECK(single.allows(c.one));
    CHECK_FALSE(single.allows(c.two));
    CHECK(read(c.format, c.one) == R"(|f{"a": 1})");
    CHECK(read(c.format, c.two) == R"(|f{"a": 1}|g.h{})");
  }
}

TEST_CASE("calls among text: the text is free, the calls are bound") {
  for (const auto& c : kCases) {
    CAPTURE(c.in_text);
    const auto free = bound(c.format, Where::in_text);
    for (const std::string_view text : {"", "Hello.", "a [list] of {things} <b>", "größer"}) CHECK(free.allows(text));
    CHECK(free.allows(c.one));
    CHECK(free.allows(c.two));
    CHECK(free.allows(c.in_text));
    CHECK_FALSE(free.allows(c.wrong));
    CHECK_FALSE(free.allows(c.wrong_in_text));
    CHECK_FALSE(bound(c.format, Where::in_text, false).allows(c.two));
    CHECK_THAT(read(c.format, c.in_text), Catch::EndsWith(R"(|f{"a": 1})"));
  }
}

TEST_CASE("reasoning is free before what is bound") {
  for (const bool inside : {true, false}) {
    grammar::Grammar g;
    g.set_root(add_reasoning(g, tags_of(ReasoningFormat::qwen3), inside, g.literal("{}")));
    const Bound b(std::move(g));
    CHECK(b.allows(inside ? "hm < {x} </thin</think>{}" : "<think>hm</think>\n\n{}"));
    CHECK(b.allows("{}") == !inside);
    CHECK_FALSE(b.allows("hm"));
    CHECK_FALSE(b.allows("<think>hm</think>x"));
    CHECK(b.allows("<think></think>{}"));
  }
}

}  // namespace
}  // namespace sluice::test
