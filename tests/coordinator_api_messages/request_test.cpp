// Requests of the Messages API on their way to a chat.
#include <catch2/catch.hpp>

#include "tests/coordinator_api_messages/messages_rig.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

json chat_of(const std::string& messages) {
  const auto q = messages_of(messages);
  if (!q) FAIL(q.error().message);
  return json(q->chat.messages);
}

TEST_CASE("system comes first, as a text or in blocks") {
  auto q = messages_with(R"("system":"Be short.")");
  REQUIRE(q);
  CHECK(q->chat.messages.dump() == R"([{"role":"system","content":"Be short."},{"role":"user","content":"hi"}])");
  q = messages_with(R"("system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                                {"type":"text","text":"b"}])");
  REQUIRE(q);
  CHECK(q->chat.messages[0]["content"] == "a\nb");
}

TEST_CASE("blocks become messages of a chat: texts, calls, results, thinking") {
  const json m = chat_of(R"([
    {"role":"user","content":[{"type":"text","text":"weather?"}]},
    {"role":"assistant","content":[
      {"type":"thinking","thinking":"think","signature":""},
      {"type":"redacted_thinking","data":"x"},
      {"type":"text","text":"I look."},
      {"type":"tool_use","id":"t1","name":"f","input":{"z":1,"a":2}},
      {"type":"tool_use","id":"t2","name":"g","input":{}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"two"}]},
      {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"broken"},
      {"type":"text","text":"go on"}]}])");
  REQUIRE(m.size() == 5);
  CHECK(m[0]["content"] == "weather?");
  CHECK(m[1]["content"] == "I look.");
  CHECK(m[1]["reasoning_content"] == "think");
  REQUIRE(m[1]["tool_calls"].size() == 2);
  CHECK(m[1]["tool_calls"][0]["id"] == "t1");
  CHECK(m[1]["tool_calls"][0]["function"]["arguments"]["a"] == 2);
  CHECK(m[2]["role"] == "tool");
  CHECK(m[2]["tool_call_id"] == "t2");
  CHECK(m[2]["content"] == "two");
  CHECK(m[3]["content"] == "Error: broken");
  CHECK(m[4]["role"] == "user");
  CHECK(m[4]["content"] == "go on");
}

TEST_CASE("an answer goes on from an assistant's last text, and from nothing else") {
  const auto goes_on = [](const std::string& messages) {
    const auto q = messages_of(messages);
    REQUIRE(q);
    return q->chat.continue_final_message;
  };
  CHECK(goes_on(R"([{"role":"user","content":"hi"},{"role":"assistant","content":"He"}])"));
  CHECK(goes_on(R"([{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"He"}]}])"));
  CHECK_FALSE(goes_on(R"([{"role":"user","content":"hi"}])"));
  CHECK_FALSE(goes_on(R"([{"role":"user","content":"hi"},
    {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"1"}]}])"));
}

TEST_CASE("effort is what chats call reasoning_effort") {
  const auto q = messages_with(R"("output_config":{"effort":"low"})");
  REQUIRE(q);
  CHECK(q->chat.kwargs["reasoning_effort"] == "low");
  CHECK(q->chat.kwargs["enable_thinking"] == true);
  const auto wrong = messages_with(R"("output_config":{"effort":"huge"})");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().param == "output_config.effort");
}

TEST_CASE("a result without content is empty; an error in blocks says so first") {
  const json m = chat_of(R"([{"role":"user","content":"a"},
    {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}},
                                   {"type":"tool_use","id":"u","name":"f","input":{}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t"},
      {"type":"tool_result","tool_use_id":"u","is_error":true,"content":[{"type":"text","text":"x"}]}]}])");
  REQUIRE(m.size() == 4);
  CHECK(m[1]["content"] == "");
  CHECK(m[2]["content"] == "");
  CHECK(m[3]["content"] == "Error:\nx");
}

TEST_CASE("fields reach the chat under its names") {
  const auto q = read_messages(
      R"({"model":"tiny","max_tokens":7,"messages":[{"role":"user","content":"a"}],"temperature":0.5,"top_p":0.9,
          "top_k":3,"stop_sequences":["x","y"],"stream":true,"metadata":{"user_id":"ann"},"seed":4,
          "service_tier":"standard_only","sluice":{"explain":true}})",
      MessagesUse::create, {{"x-slo-ttft-ms", "50"}});
  REQUIRE(q);
  CHECK(q->max_tokens == 7);
  CHECK(q->sampling.temperature == 0.5);
  CHECK(q->sampling.top_p == 0.9);
  CHECK(q->sampling.top_k == 3);
  CHECK(q->stop == std::vector<std::string>{"x", "y"});
  CHECK(q->stream);
  CHECK(q->user == "ann");
  CHECK(q->seed == 4);
  CHECK(q->explain);
  CHECK(q->slo_ttft == std::chrono::milliseconds(50));
  CHECK(messages_with(R"("stop_sequences":[])"));
}

TEST_CASE("tools keep the order of their keys; none takes them from the template") {
  const std::string tools = R"("tools":[{"name":"f","description":"d","cache_control":{"type":"ephemeral"},
    "input_schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}}}])";
  auto q = messages_with(tools + R"(,"tool_choice":{"type":"auto"})");
  REQUIRE(q);
  REQUIRE(q->chat.tools.size() == 1);
  CHECK(q->chat.tools[0].dump() ==
        R"({"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object",)"
        R"("properties":{"z":{"type":"string"},"a":{"type":"integer"}}}}})");
  q = messages_with(tools + R"(,"tool_choice":{"type":"none"})");
  REQUIRE(q);
  CHECK(q->chat.tools.empty());
}

TEST_CASE("what must be called, and how often at a time") {
  const std::string tools = R"("tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":)";
  auto q = messages_with(tools + R"({"type":"any"})");
  REQUIRE(q);
  CHECK(q->chat.choice.mode == ToolChoice::Mode::required);
  CHECK(q->chat.choice.parallel);
  q = messages_with(tools + R"({"type":"tool","name":"f","disable_parallel_tool_use":true})");
  REQUIRE(q);
  CHECK(q->chat.choice.mode == ToolChoice::Mode::named);
  CHECK_FALSE(q->chat.choice.parallel);
  q = messages_with(tools + R"({"type":"tool","name":"g"})");
  REQUIRE_FALSE(q);
  CHECK(q.error().param == "tool_choice");
}

TEST_CASE("thinking is the template's to do or not") {
  auto q = messages_with(R"("thinking":{"type":"enabled","budget_tokens":4})");
  REQUIRE(q);
  CHECK(q->chat.kwargs["enable_thinking"] == true);
  q = messages_with(R"("thinking":{"type":"disabled"},"chat_template_kwargs":{"x":1})");
  REQUIRE(q);
  CHECK(q->chat.kwargs["enable_thinking"] == false);
  CHECK(q->chat.kwargs["x"] == 1);
}

TEST_CASE("a count needs no max_tokens") {
  CHECK(read_messages(R"({"messages":[{"role":"user","content":"a"}]})", MessagesUse::count));
  const auto q = read_messages(R"({"messages":[{"role":"user","content":"a"}]})");
  REQUIRE_FALSE(q);
  CHECK(q.error().param == "max_tokens");
}

}  // namespace
}  // namespace sluice::test
