// Reasoning told from answers, at every cut, with and without the opening tag.
#include <catch2/catch.hpp>

#include "tests/text_output/cuts.h"
#include "text/output/formats.h"

namespace sluice::test {
namespace {

using namespace sluice::text::output;

std::string read(ReasoningFormat format, bool inside, std::string_view text, ToolFormat tools = ToolFormat::none) {
  return read_at_every_cut(
      [&] { return make_parser({tools, format}, {.calls = tools != ToolFormat::none, .inside = inside}); }, text);
}

TEST_CASE("reasoning stands between its tags") {
  constexpr auto r1 = ReasoningFormat::deepseek_r1;
  CHECK(read(r1, true, "<think>hm\n</think>\n\nYes") == "think(hm\n)\n\nYes");
  CHECK(read(r1, true, "hm</think>Yes") == "think(hm)Yes");
  CHECK(read(r1, true, "hm, no end </thin") == "think(hm, no end </thin)");
  CHECK(read(r1, true, " \n<think>") == "");
  CHECK(read(r1, false, "Yes</think>") == "Yes</think>");
  CHECK(read(r1, true, "</think>Yes <think>x</think>") == "Yes <think>x</think>");
}

TEST_CASE("qwen3: without the tag there is none") {
  constexpr auto qwen = ReasoningFormat::qwen3;
  CHECK(read(qwen, false, "\n<think>\nhm</think>Yes") == "think(\nhm)Yes");
  CHECK(read(qwen, false, "Yes <think>no</think>") == "Yes <think>no</think>");
  CHECK(read(qwen, false, "<thin") == "<thin");
  CHECK(read(qwen, false, " <x") == " <x");
  CHECK(read(qwen, true, "hm</think>Yes") == "think(hm)Yes");
  CHECK(read(qwen, false, "") == "");
}

TEST_CASE("granite and mistral have tags of their own") {
  CHECK(read(ReasoningFormat::granite, false, "Here is my thought process: a. Here is my response: b") ==
        "think( a. ) b");
  CHECK(read(ReasoningFormat::granite, false, "Here's my thought process:a Here's my response:b") == "think(a )b");
  CHECK(read(ReasoningFormat::granite, false, "Here is b") == "Here is b");
  CHECK(read(ReasoningFormat::mistral, false, "[THINK]a[/THINK]b") == "think(a)b");
}

TEST_CASE("calls follow reasoning; what is thought of them is none") {
  CHECK(
      read(ReasoningFormat::qwen3, false,
           "<think>I could <tool_call>{\"name\":\"g\"}</tool_call></think>\n\n<tool_call>{\"name\":\"f\"}</tool_call>",
           ToolFormat::hermes) == "think(I could <tool_call>{\"name\":\"g\"}</tool_call>)|f{}");
}

TEST_CASE("the prompt says where an answer begins") {
  using enum ReasoningFormat;
  CHECK(begins_inside(qwen3, "<|im_start|>assistant\n<think>\n"));
  CHECK_FALSE(begins_inside(qwen3, "<|im_start|>assistant\n"));
  CHECK_FALSE(begins_inside(qwen3, "<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  CHECK(begins_inside(deepseek_r1, "<|Assistant|>"));
  CHECK_FALSE(begins_inside(deepseek_r1, "<|Assistant|></think>"));
  CHECK_FALSE(begins_inside(none, "<think>"));
}

TEST_CASE("formats by name, and from templates") {
  CHECK(tool_format("none", "<tool_call>") == ToolFormat::none);
  CHECK(tool_format("hermes", "") == ToolFormat::hermes);
  CHECK(tool_format("auto", "..<tool_call>..") == ToolFormat::hermes);
  CHECK(tool_format("auto", "..<tool_call>\n<function=..") == ToolFormat::none);
  CHECK(tool_format("auto", "{{ '[TOOL_CALLS] [' }}") == ToolFormat::mistral);
  CHECK(tool_format("auto", "'[TOOL_CALLS]' + name + '[ARGS]'") == ToolFormat::mistral_args);
  CHECK(tool_format("mistral", "'[TOOL_CALLS]' + name + '[ARGS]'") == ToolFormat::mistral_args);
  CHECK(tool_format("auto", "<|python_tag|>") == ToolFormat::llama3_json);
  CHECK(tool_format("auto", "[func_name1(params_name1=params_value1...)]") == ToolFormat::pythonic);
  CHECK(tool_format("auto", "plain") == ToolFormat::none);
  const auto no = tool_format("xml", "");
  REQUIRE_FALSE(no);
  CHECK(no.error().message ==
        "'xml' is no tool call parser; there are auto, none, hermes, llama3_json, mistral, pythonic");
  CHECK(reasoning_format("qwen3") == ReasoningFormat::qwen3);
  CHECK(reasoning_format("r2").error().message ==
        "'r2' is no reasoning parser; there are none, deepseek_r1, qwen3, granite, mistral");
  CHECK(name(ToolFormat::mistral_args) == "mistral");
  CHECK(name(ReasoningFormat::granite) == "granite");
  CHECK_FALSE(make_parser({}, {.calls = true}));
}

}  // namespace
}  // namespace sluice::test
