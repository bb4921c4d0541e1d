// What the Responses API refuses, by the name of the field at fault.
#include <catch2/catch.hpp>

#include "tests/coordinator_api_responses/responses_rig.h"
#include "tests/support/json_mutations.h"

namespace sluice::test {
namespace {

struct Refused {
  const char* text;  // fields
  const char* param;
};

TEST_CASE("what cannot be honoured is refused by its name") {
  static constexpr Refused kRefused[] = {
      {R"("max_output_tokens":0)", "max_output_tokens"},
      {R"("max_output_tokens":"5")", "max_output_tokens"},
      {R"("temperature":3)", "temperature"},
      {R"("temperature":"1")", "temperature"},
      {R"("top_p":0)", "top_p"},
      {R"("stream":1)", "stream"},
      {R"("store":"yes")", "store"},
      {R"("stream":true,"stream_options":{"include_obfuscation":true})", "stream_options.include_obfuscation"},
      {R"("stream_options":{"include_usage":true})", "stream_options.include_usage"},
      {R"("include":["reasoning.encrypted_content"])", "include[0]"},
      {R"("include":"x")", "include"},
      {R"("top_logprobs":2)", "top_logprobs"},
      {R"("top_logprobs":21,"include":["message.output_text.logprobs"])", "top_logprobs"},
      {R"("text":{"verbosity":"low"})", "text.verbosity"},
      {R"("text":{"format":{"type":"grammar"}})", "text.format"},
      {R"("text":{"format":{"type":"json_schema","schema":{}}})", "text.format.name"},
      {R"("text":{"format":{"type":"json_schema","name":"a","schema":[]}})", "text.format.schema"},
      {R"("text":{"format":{"type":"text","x":1}})", "text.format.x"},
      {R"("text":{"x":1})", "text.x"},
      {R"("tools":[{"type":"web_search"}])", "tools[0]"},
      {R"("tools":[{"type":"function"}])", "tools[0].name"},
      {R"("tools":[{"type":"function","name":"f","parameters":[]}])", "tools[0].parameters"},
      {R"("tools":[{"type":"function","name":"f","more":1}])", "tools[0].more"},
      {R"("tools":[{"type":"function","name":"f","defer_loading":true}])", "tools[0].defer_loading"},
      {R"("tools":{})", "tools"},
      {R"("tool_choice":{"type":"mcp","server_label":"x"})", "tool_choice"},
      {R"("tool_choice":5)", "tool_choice"},
      {R"("tool_choice":"sometimes")", "tool_choice"},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("tool_choice":{"type":"function","name":"f"})", "tool_choice"},
      {R"("tool_choice":{"type":"allowed_tools","mode":"never","tools":[{"type":"function","name":"f"}]})",
       "tool_choice.mode"},
      {R"("tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp","server_label":"x"}]})",
       "tool_choice.tools[0]"},
      {R"("max_tool_calls":0)", "max_tool_calls"},
      {R"("reasoning":{"summary":"long"})", "reasoning.summary"},
      {R"("reasoning":{"mode":"pro"})", "reasoning.mode"},
      {R"("metadata":{"a":1})", "metadata.a"},
      {R"("metadata":[])", "metadata"},
      {R"("user":5)", "user"},
      {R"("truncation":"auto")", "truncation"},
      {R"("background":true)", "background"},
      {R"("service_tier":"flex")", "service_tier"},
      {R"("conversation":"conv_1")", "conversation"},
      {R"("prompt":{"id":"p"})", "prompt"},
      {R"("context_management":[])", "context_management"},
      {R"("n":2)", "n"},
      {R"("messages":[])", "messages"},
      {R"("previous_response_id":"")", "previous_response_id"},
      {R"("previous_response_id":7)", "previous_response_id"},
      {R"("instructions":["a"])", "instructions"},
      {R"("model":5)", "model"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("sluice":{"mode":"fast"})", "sluice.mode"},
      {R"("min_tokens":5,"max_output_tokens":3)", "min_tokens"},
  };
  for (const auto& r : kRefused) {
    CAPTURE(r.text);
    ResponsesRig rig;
    const auto q = rig.with(r.text);
    REQUIRE_FALSE(q);
    CHECK(q.error().param == r.param);
    CHECK(q.error().status == 400);
    CHECK_FALSE(q.error().message.empty());
  }
}

TEST_CASE("items that cannot be read are refused by their place") {
  static constexpr Refused kRefused[] = {
      {R"([])", "input"},
      {R"(5)", "input"},
      {R"({"role":"user","content":"a"})", "input"},
      {R"(["a"])", "input[0]"},
      {R"([{"content":"a"}])", "input[0].role"},
      {R"([{"role":"tool","content":"a"}])", "input[0].role"},
      {R"([{"role":"user"}])", "input[0].content"},
      {R"([{"role":"user","content":[]}])", "input[0]"},
      {R"([{"role":"user","content":[{"type":"input_image","image_url":"x"}]}])", "input[0].content[0]"},
      {R"([{"role":"user","content":[{"type":"input_file","file_id":"x"}]}])", "input[0].content[0]"},
      {R"([{"role":"user","content":[{"type":"input_text"}]}])", "input[0].content[0].text"},
      {R"([{"role":"user","content":[{"type":"refusal","refusal":"no"}]}])", "input[0].content[0]"},
      {R"([{"role":"user","content":"a","more":1}])", "input[0].more"},
      {R"([{"type":"item_reference","id":"x"}])", "input[0]"},
      {R"([{"type":"computer_call","id":"x"}])", "input[0]"},
      {R"([{"type":"function_call","name":"f","arguments":"{}"}])", "input[0].call_id"},
      {R"([{"type":"function_call","call_id":"c","name":"f","arguments":{}}])", "input[0].arguments"},
      {R"([{"type":"function_call_output","call_id":"c","output":"x"}])", "input[0].call_id"},
      {R"([{"type":"reasoning","summary":[{"type":"x","text":"a"}]}])", "input[0].summary[0]"},
  };
  for (const auto& r : kRefused) {
    CAPTURE(r.text);
    ResponsesRig rig;
    const auto q = rig.read(std::string(R"({"input":)") + r.text + "}");
    REQUIRE_FALSE(q);
    CHECK(q.error().param == r.param);
  }
  ResponsesRig rig;
  CHECK(rig.read("{}").error().param == "input");
  CHECK(rig.read("[]").error().code == "invalid_json");
  CHECK(rig.read(R"({"input":"a","model":"other"})").error().code == "model_not_found");
}

TEST_CASE("whatever one field holds, a request is read or refused by name") {
  const auto good = nlohmann::json::parse(R"({"model":"tiny","instructions":"i","max_output_tokens":7,"temperature":0.5,
    "input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},
      {"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"s"}],
       "content":[{"type":"reasoning_text","text":"t"}]},
      {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
      {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"o"}]}],
    "tools":[{"type":"function","name":"f","description":"d","strict":false,
      "parameters":{"type":"object","properties":{"a":{"type":"string"}}}}],
    "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":true,
    "text":{"format":{"type":"text"},"verbosity":"medium"},
    "reasoning":{"effort":"low","summary":"auto"},"metadata":{"a":"b"},"include":["message.output_text.logprobs"],
    "top_logprobs":1,"stream":true,"stream_options":{"include_obfuscation":false},"store":true,"user":"u",
    "chat_template_kwargs":{"x":1},"sluice":{"explain":true}})");
  ResponsesRig rig;
  REQUIRE(rig.read(good.dump()));
  each_mutation(good, [&](const nlohmann::json& body, const std::string& path) {
    INFO(path << " in " << body.dump());
    const auto q = rig.read(body.dump());
    if (!q) CHECK_FALSE(q.error().param.empty());
    if (!q) CHECK(q.error().status < 500);
  });
}

TEST_CASE("errors of the chat below are said in this API's words") {
  auto e = coordinator::in_words_of_responses(coordinator::ApiError::invalid(
      "The prompt is 12 tokens long and max_tokens is 900; without max_tokens it fits.", "max_tokens", "x"));
  CHECK(e.param == "max_output_tokens");
  CHECK(e.message == "The prompt is 12 tokens long and max_output_tokens is 900; without max_output_tokens it fits.");
  e = coordinator::in_words_of_responses(
      coordinator::ApiError::invalid("'tools[0].function.parameters.x' is bad", "tools[0].function.parameters.x"));
  CHECK(e.param == "tools[0].parameters.x");
  CHECK(e.message == "'tools[0].parameters.x' is bad");
}

}  // namespace
}  // namespace sluice::test
