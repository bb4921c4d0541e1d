// What the Messages API refuses, by the name of the field at fault.
#include <catch2/catch.hpp>

#include "tests/coordinator_api_messages/messages_rig.h"
#include "tests/support/json_mutations.h"

namespace sluice::test {
namespace {

struct Refused {
  const char* text;
  const char* param;
};

TEST_CASE("what cannot be honoured is refused by its name") {
  static constexpr Refused kRefused[] = {
      {R"("temperature":3)", "temperature"},
      {R"("top_k":"x")", "top_k"},
      {R"("stop_sequences":"a","stream":1)", "stream"},
      {R"("stop_sequences":[5])", "stop_sequences"},
      {R"("stop":["a"])", "stop"},
      {R"("system":5)", "system"},
      {R"("system":[{"type":"image"}])", "system[0]"},
      {R"("tools":[{"type":"bash_20250124","name":"bash"}])", "tools[0]"},
      {R"("tools":[{"name":"f"}])", "tools[0].input_schema"},
      {R"("tools":[{"name":"f","input_schema":5}])", "tools[0].input_schema"},
      {R"("tools":[{"input_schema":{}}])", "tools[0].name"},
      {R"("tools":[{"name":"f","input_schema":{},"defer_loading":true}])", "tools[0].defer_loading"},
      {R"("tools":[{"name":"f","input_schema":{},"input_examples":[]}])", "tools[0].input_examples"},
      {R"("tool_choice":"auto")", "tool_choice"},
      {R"("tool_choice":{"type":"required"})", "tool_choice.type"},
      {R"("tool_choice":{"type":"tool"})", "tool_choice.name"},
      {R"("tool_choice":{"type":"auto","name":"f"})", "tool_choice.name"},
      {R"("thinking":{"type":"enabled"})", "thinking.budget_tokens"},
      {R"("thinking":{"type":"enabled","budget_tokens":9})", "thinking.budget_tokens"},
      {R"("thinking":{"type":"on"})", "thinking.type"},
      {R"("thinking":{"type":"adaptive","display":"omitted"})", "thinking.display"},
      {R"("metadata":{"user":"x"})", "metadata.user"},
      {R"("service_tier":"priority")", "service_tier"},
      {R"("output_config":{"format":{"type":"regex"}})", "output_config.format"},
      {R"("output_config":{"format":{"type":"json_schema"}})", "output_config.format.schema"},
      {R"("container":"c")", "container"},
      {R"("mcp_servers":[{}])", "mcp_servers"},
      {R"("context_management":{})", "context_management"},
      {R"("n":2)", "n"},
      {R"("max_completion_tokens":2)", "max_completion_tokens"},
      {R"("model":5)", "model"},
  };
  for (const auto& r : kRefused) {
    CAPTURE(r.text);
    const auto q = messages_with(r.text);
    REQUIRE_FALSE(q);
    CHECK(q.error().param == r.param);
    CHECK(q.error().status == 400);
  }
}

TEST_CASE("whatever one field holds, a request is read or refused by name") {
  const auto good = nlohmann::json::parse(R"({"model":"tiny","max_tokens":9,"temperature":0.5,"top_k":3,
    "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"stop_sequences":["x"],
    "messages":[{"role":"user","content":[{"type":"text","text":"a"}]},
      {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":""},{"type":"text","text":"b"},
        {"type":"tool_use","id":"t1","name":"f","input":{"a":"x"}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,
        "content":[{"type":"text","text":"r"}]}]}],
    "tools":[{"name":"f","description":"d","strict":false,
      "input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}],
    "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true},
    "thinking":{"type":"enabled","budget_tokens":4},"metadata":{"user_id":"u"},"stream":false,
    "output_config":{"effort":"low"},"service_tier":"auto","sluice":{"explain":true}})");
  REQUIRE(read_messages(good.dump()));
  each_mutation(good, [&](const nlohmann::json& body, const std::string& path) {
    INFO(path << " in " << body.dump());
    const auto q = read_messages(body.dump());
    if (!q) CHECK_FALSE(q.error().param.empty());
    if (!q) CHECK(q.error().status < 500);
  });
}

TEST_CASE("messages that cannot be read are refused by their place") {
  static constexpr Refused kRefused[] = {
      {R"([])", "messages"},
      {R"("hi")", "messages"},
      {R"([5])", "messages[0]"},
      {R"([{"role":"tool","content":"a"}])", "messages[0].role"},
      {R"([{"role":"user"}])", "messages[0].content"},
      {R"([{"role":"user","content":[]}])", "messages[0].content"},
      {R"([{"role":"user","content":"a","name":"x"}])", "messages[0].name"},
      {R"([{"role":"user","content":[{"type":"image","source":{}}]}])", "messages[0].content[0]"},
      {R"([{"role":"user","content":[{"type":"document","source":{}}]}])", "messages[0].content[0]"},
      {R"([{"role":"user","content":[{"text":"a"}]}])", "messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"text","text":"a","more":1}]}])", "messages[0].content[0].more"},
      {R"([{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}])",
       "messages[0].content[0].tool_use_id"},
      {R"([{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":"{}"}]}])",
       "messages[0].content[0].input"},
      {R"([{"role":"assistant","content":[{"type":"tool_result","tool_use_id":"t"}]}])", "messages[0].content[0]"},
  };
  for (const auto& r : kRefused) {
    CAPTURE(r.text);
    const auto q = messages_of(r.text);
    REQUIRE_FALSE(q);
    CHECK(q.error().param == r.param);
  }
  CHECK(read_messages(R"({"max_tokens":0,"messages":[]})").error().param == "max_tokens");
  CHECK(read_messages("{}").error().param == "max_tokens");
  CHECK(read_messages(R"({"max_tokens":5})").error().param == "messages");
}

}  // namespace
}  // namespace sluice::test
