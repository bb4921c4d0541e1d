// Input items on their way to the messages of a chat.
#include <catch2/catch.hpp>

#include "tests/coordinator_api_responses/responses_rig.h"

namespace sluice::test {
namespace {

using nlohmann::json;

json messages_of(const std::string& items) {
  ResponsesRig rig;
  const auto q = rig.read(R"({"input":)" + items + "}");
  if (!q) FAIL(q.error().message);
  return json(q->chat.chat.messages);
}

TEST_CASE("a string is the user's message; instructions come first") {
  CHECK(messages_of(R"("hello")") == json::parse(R"([{"role":"user","content":"hello"}])"));
  ResponsesRig rig;
  const auto q = rig.read(R"({"input":"hello","instructions":"Be short."})");
  REQUIRE(q);
  REQUIRE(q->chat.chat.messages.size() == 2);
  CHECK(q->chat.chat.messages[0]["role"] == "system");
  CHECK(q->chat.chat.messages[0]["content"] == "Be short.");
}

TEST_CASE("messages of every role, with their content in parts or not") {
  const json m = messages_of(R"([
    {"role":"developer","content":"d"},
    {"type":"message","role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},
    {"type":"message","id":"msg_1","status":"completed","role":"assistant",
     "content":[{"type":"output_text","text":"yes","annotations":[],"logprobs":[]}]},
    {"role":"user","content":"c"}])");
  REQUIRE(m.size() == 4);
  CHECK(m[0]["role"] == "system");
  CHECK(m[1]["content"] == "a\nb");
  CHECK(m[2] == json::parse(R"({"role":"assistant","content":"yes"})"));
  CHECK(m[3]["content"] == "c");
}

TEST_CASE("calls belong to the assistant's message before them, reasoning to the one after") {
  const json m = messages_of(R"([
    {"role":"user","content":"weather?"},
    {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"think"}]},
    {"role":"assistant","content":"I look."},
    {"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{\"x\":1}","status":"completed"},
    {"type":"function_call","call_id":"c2","name":"g","arguments":"{}"},
    {"type":"function_call_output","call_id":"c2","output":"two"},
    {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"one"}]},
    {"type":"function_call","call_id":"c3","name":"f","arguments":""}])");
  REQUIRE(m.size() == 5);
  CHECK(m[1]["content"] == "I look.");
  CHECK(m[1]["reasoning_content"] == "think");
  REQUIRE(m[1]["tool_calls"].size() == 2);
  CHECK(m[1]["tool_calls"][0]["id"] == "c1");
  CHECK(m[1]["tool_calls"][0]["function"]["arguments"]["x"] == 1);
  CHECK(m[1]["tool_calls"][1]["function"]["name"] == "g");
  CHECK(m[2]["role"] == "tool");
  CHECK(m[2]["tool_call_id"] == "c2");
  CHECK(m[3]["content"] == "one");
  CHECK(m[4]["content"] == "");
  CHECK(m[4]["tool_calls"][0]["id"] == "c3");
}

TEST_CASE("reasoning that says nothing to this model is passed over") {
  const json m = messages_of(R"([
    {"role":"user","content":"a"},
    {"type":"reasoning","id":"rs_1","encrypted_content":"...","summary":[{"type":"summary_text","text":"s"}]},
    {"role":"assistant","content":"b"}])");
  CHECK_FALSE(m[1].contains("reasoning_content"));
}

}  // namespace
}  // namespace sluice::test
