// Requests of the Responses API: what becomes of each field, and what the answer says of it again.
#include "coordinator/api/responses/request.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_api_responses/responses_rig.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

TEST_CASE("what is not said has the documented defaults") {
  ResponsesRig rig;
  const auto q = rig.read(R"({"input":"hi"})");
  REQUIRE(q);
  CHECK(q->store);
  CHECK_FALSE(q->chat.stream);
  CHECK_FALSE(q->chat.max_tokens);
  const json& s = q->said;
  CHECK(s["temperature"] == 0.6);  // the model's own
  CHECK(s["top_p"] == 1.0);
  CHECK(s["tools"] == json::array());
  CHECK(s["tool_choice"] == "auto");
  CHECK(s["parallel_tool_calls"] == true);
  CHECK(s["text"]["format"]["type"] == "text");
  CHECK(s["metadata"] == json::object());
  CHECK(s["truncation"] == "disabled");
  CHECK(s["instructions"].is_null());
  CHECK(s["previous_response_id"].is_null());
  CHECK(s["max_output_tokens"].is_null());
}

TEST_CASE("effort is what chats call reasoning_effort") {
  ResponsesRig rig;
  const auto q = rig.read(R"({"input":"hi","reasoning":{"effort":"none"}})");
  REQUIRE(q);
  CHECK(q->chat.chat.kwargs["reasoning_effort"] == "none");
  CHECK(q->chat.chat.kwargs["enable_thinking"] == false);
  const auto wrong = rig.read(R"({"input":"hi","reasoning":{"effort":"huge"}})");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().param == "reasoning.effort");
}

TEST_CASE("fields reach the chat under its names") {
  ResponsesRig rig;
  const auto q = rig.read(
      R"({"model":"tiny","input":"hi","max_output_tokens":7,"temperature":0.5,"top_p":0.9,"top_k":3,"seed":9,
          "stop":["x"],"stream":true,"user":"ann","min_tokens":2,"priority":4,
          "include":["message.output_text.logprobs"],"top_logprobs":2,
          "metadata":{"a":"b"},"store":false,"truncation":"disabled","service_tier":"auto","background":false,
          "safety_identifier":"s","prompt_cache_key":"k","max_tool_calls":3,
          "stream_options":{"include_obfuscation":false},"text":{"format":{"type":"text"},"verbosity":"medium"},
          "chat_template_kwargs":{"z":1,"a":2},"sluice":{"explain":true}})",
      "a", {{"x-slo-class", "gold"}});
  REQUIRE(q);
  const auto& c = q->chat;
  CHECK(c.max_tokens == 7);
  CHECK(c.sampling.temperature == 0.5);
  CHECK(c.sampling.top_p == 0.9);
  CHECK(c.sampling.top_k == 3);
  CHECK(c.sampling.min_tokens == 2);
  CHECK(c.sampling.logprobs == 2);
  CHECK(c.seed == 9);
  CHECK(c.stop == std::vector<std::string>{"x"});
  CHECK(c.stream);
  CHECK(c.user == "ann");
  CHECK(c.priority == 4);
  CHECK(c.slo_class == "gold");
  CHECK(c.explain);
  CHECK(c.chat.kwargs.dump() == R"({"z":1,"a":2})");
  CHECK_FALSE(q->store);
  CHECK(q->said["metadata"]["a"] == "b");
  CHECK(q->said["safety_identifier"] == "s");
  CHECK(q->said["prompt_cache_key"] == "k");
  CHECK(q->said["top_logprobs"] == 2);
  CHECK(q->said["max_tool_calls"] == 3);
}

TEST_CASE("tools keep the order of their keys on the way to the template") {
  ResponsesRig rig;
  const auto q = rig.with(R"("tools":[{"type":"function","name":"f","description":"d",
    "parameters":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}}}])");
  REQUIRE(q);
  REQUIRE(q->chat.chat.tools.size() == 1);
  CHECK(q->chat.chat.tools[0].dump() ==
        R"({"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object",)"
        R"("properties":{"z":{"type":"string"},"a":{"type":"integer"}}}}})");
  CHECK(q->said["tools"][0]["name"] == "f");
}

TEST_CASE("what may be called is said as chats say it") {
  ResponsesRig rig;
  const std::string tools = R"("tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}],)";
  auto q = rig.with(tools + R"("tool_choice":{"type":"function","name":"g"},"parallel_tool_calls":false)");
  REQUIRE(q);
  CHECK(q->chat.chat.choice.mode == ToolChoice::Mode::named);
  CHECK(q->chat.chat.choice.allowed == std::vector<std::string>{"g"});
  CHECK_FALSE(q->chat.chat.choice.parallel);
  CHECK(q->said["tool_choice"] == json({{"type", "function"}, {"name", "g"}}));
  q = rig.with(tools +
               R"("tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]})");
  REQUIRE(q);
  CHECK(q->chat.chat.choice.mode == ToolChoice::Mode::required);
  CHECK(q->chat.chat.choice.allowed == std::vector<std::string>{"f"});
  q = rig.with(tools + R"("tool_choice":"none")");
  REQUIRE(q);
  CHECK(q->chat.chat.tools.empty());
}

TEST_CASE("a conversation goes on from the turns before, which are this key's alone") {
  ResponsesRig rig;
  const auto first = rig.read(R"({"input":"one"})");
  REQUIRE(first);
  json answer = {{"output", json::parse(R"([{"type":"message","id":"msg_1","status":"completed","role":"assistant",
    "content":[{"type":"output_text","text":"ONE","annotations":[],"logprobs":[]}]},
    {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}","status":"completed"}])")}};
  rig.memory.keep("a", {"resp_1", "", answer.dump(), first->input});
  const std::string next = R"({"input":[{"type":"function_call_output","call_id":"c1","output":"r"}],
    "previous_response_id":"resp_1","instructions":"i"})";
  const auto q = rig.read(next);
  REQUIRE(q);
  const auto& m = q->chat.chat.messages;
  REQUIRE(m.size() == 4);
  CHECK(m[0]["content"] == "i");
  CHECK(m[1]["content"] == "one");
  CHECK(m[2]["content"] == "ONE");
  CHECK(m[2]["tool_calls"][0]["id"] == "c1");
  CHECK(m[3]["role"] == "tool");
  CHECK(json::parse(q->input).size() == 1);  // its own items alone
  CHECK(q->previous == "resp_1");

  const auto stranger = rig.read(next, "b");
  REQUIRE_FALSE(stranger);
  CHECK(stranger.error().status == 404);
  CHECK(stranger.error().param == "previous_response_id");
}

TEST_CASE("kept items have a type, an id, and content in parts") {
  ResponsesRig rig;
  const auto q = rig.read(R"({"input":[{"role":"user","content":"a"},{"role":"assistant","content":"b","id":"x"},
    {"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]})");
  REQUIRE(q);
  const json input = json::parse(q->input);
  REQUIRE(input.size() == 3);
  CHECK(input[0]["type"] == "message");
  CHECK(input[0]["id"] == "in_new_0");
  CHECK(input[0]["content"][0] == json({{"type", "input_text"}, {"text", "a"}}));
  CHECK(input[1]["id"] == "x");
  CHECK(input[1]["content"][0]["type"] == "output_text");
  CHECK_FALSE(input[2].contains("content"));
}

TEST_CASE("where nothing is kept, nothing is stored, and no turn before can be named") {
  ManualClock clock;
  ResponseMemory none({.bytes = 0}, clock);
  const auto q = read_responses_request(R"({"input":"a","store":true})", {}, tiny(), "resp_1", "a", none);
  REQUIRE(q);
  CHECK_FALSE(q->store);
  const auto next =
      read_responses_request(R"({"input":"a","previous_response_id":"r"})", {}, tiny(), "resp_1", "a", none);
  REQUIRE_FALSE(next);
  CHECK(next.error().param == "previous_response_id");
}

}  // namespace
}  // namespace sluice::test
