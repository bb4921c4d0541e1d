// Conversations, their tools and template variables on the way to the template.
#include "coordinator/api/requests.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_api/request_bodies.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

TEST_CASE("messages reach the template in one shape") {
  auto r = parse(true, R"({"messages":[
    {"role":"developer","content":"d"},
    {"role":"user","name":"ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,
     "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
    {"role":"tool","tool_call_id":"1","content":"r"}],
    "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto",
    "chat_template_kwargs":{"thinking":false},"add_generation_prompt":false})");
  REQUIRE(r);
  const auto& m = r->chat.messages;
  REQUIRE(m.size() == 4);
  CHECK(m[0]["role"] == "system");
  CHECK(m[1]["content"] == "a\nb");
  CHECK(m[1]["name"] == "ann");
  CHECK(m[2]["content"] == "");
  CHECK(m[2]["tool_calls"][0]["function"]["arguments"]["x"] == 1);
  CHECK(m[3]["tool_call_id"] == "1");
  CHECK(r->chat.tools.size() == 1);
  CHECK(r->chat.kwargs["thinking"] == false);
  CHECK_FALSE(r->chat.add_generation_prompt);
  auto none = parse(true, with(true, R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none")"));
  REQUIRE(none);
  CHECK(none->chat.tools.empty());
}

TEST_CASE("a prompt ends behind the opening of an answer or in the final message, not both") {
  CHECK(parse(true, with(true, ""))->chat.add_generation_prompt);
  const auto r = parse(true, with(true, R"("continue_final_message":true)"));
  REQUIRE(r);
  CHECK(r->chat.continue_final_message);
  CHECK_FALSE(r->chat.add_generation_prompt);
  CHECK(parse(true, with(true, R"("continue_final_message":true,"add_generation_prompt":false)")));
  CHECK_FALSE(parse(true, with(true, R"("continue_final_message":false,"add_generation_prompt":true)"))
                  ->chat.continue_final_message);
  const auto both = parse(true, with(true, R"("continue_final_message":true,"add_generation_prompt":true)"));
  REQUIRE_FALSE(both);
  CHECK(both.error().param == "continue_final_message");
  const auto nothing = parse(true, R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant"}],
    "continue_final_message":true})");
  REQUIRE_FALSE(nothing);
  CHECK(nothing.error().param == "continue_final_message");
}

TEST_CASE("the effort of reasoning is a variable of the template") {
  const auto kwargs = [](const char* more) { return parse(true, with(true, more))->chat.kwargs.dump(); };
  CHECK(kwargs("") == "{}");
  CHECK(kwargs(R"("reasoning_effort":"low")") == R"({"reasoning_effort":"low","enable_thinking":true})");
  CHECK(kwargs(R"("reasoning_effort":"none")") == R"({"reasoning_effort":"none","enable_thinking":false})");
  CHECK(kwargs(R"("reasoning_effort":"high","chat_template_kwargs":{"enable_thinking":false})") ==
        R"({"enable_thinking":false,"reasoning_effort":"high"})");
  CHECK(parse(true, with(true, R"("reasoning_effort":"huge")")).error().param == "reasoning_effort");
}

TEST_CASE("a call without arguments has an empty object of them, however it is said") {
  for (const std::string arguments : {R"("{}")", R"("")", R"(" \n")", R"("null")", "null", "{}"}) {
    CAPTURE(arguments);
    auto r = parse(true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":)" +
                             arguments + "}}]}]}");
    REQUIRE(r);
    CHECK(r->chat.messages[0]["tool_calls"][0]["function"]["arguments"] == nlohmann::json::object());
  }
  auto none = parse(true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]})");
  CHECK(none->chat.messages[0]["tool_calls"][0]["function"]["arguments"] == nlohmann::json::object());
}

TEST_CASE("content in parts is there both ways, for the template to choose") {
  auto r = parse(true, R"({"messages":[{"role":"system","content":"s"},
    {"role":"user","content":[{"type":"text","text":"a","x":1},{"type":"text","text":"b"}]}]})");
  REQUIRE(r);
  CHECK(r->chat.messages[1]["content"] == "a\nb");
  REQUIRE(r->chat.parts.size() == 1);
  CHECK(r->chat.parts[0].first == 1);
  CHECK(r->chat.parts[0].second.dump() == R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])");
}

TEST_CASE("tools keep the order of their keys, unless an object is made to be expensive") {
  auto r = parse(true, with(true, R"("tools":[{"type":"function","function":{"name":"f","description":"d","a":1}}])"));
  REQUIRE(r);
  CHECK(r->chat.tools.dump() == R"([{"type":"function","function":{"name":"f","description":"d","a":1}}])");
  auto calls = parse(
      true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"b\":1,\"a\":2}"}}]}]})");
  REQUIRE(calls);
  CHECK(calls->chat.messages[0]["tool_calls"][0]["function"]["arguments"].dump() == R"({"b":1,"a":2})");
  std::string many;  // ordering these would cost their square: hours, past any test's timeout
  for (int i = 200'000; i > 0; --i) many += fmt::format(",\"{}\":0", i);
  CHECK(parse(true, with(true, R"("metadata":{"z":0)" + many + "}")));
  CHECK(parse(true, R"({"messages":[{"role":"user","content":"hi")" + many + "}]}"));
  CHECK(parse(true,
              with(true, R"("tools":[{"type":"function","function":{"name":"f","parameters":{"z":0)" + many + "}}}]")));
}

TEST_CASE("many keys are cheap however they come") {
  // Once 1,300 keys, and then one of them a million times: each is looked for among the 1,300.
  std::string again = R"("metadata":{"z":0)";
  for (int i = 0; i < 1300; ++i) again += fmt::format(",\"{}\":0", i);
  for (int i = 0; i < 1'000'000; ++i) again += ",\"1299\":0";
  CHECK(parse(true, with(true, again + "}")));

  // Calls whose arguments are dear to order, each less than the limit, and all together far more.
  std::string arguments = "{\\\"z\\\":0";
  for (int i = 0; i < 1300; ++i) arguments += fmt::format(",\\\"{}\\\":0", i);
  std::string calls = R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}})";
  for (int i = 0; i < 800; ++i) calls += R"(,{"function":{"arguments":")" + arguments + "}\"}}";
  CHECK(parse(true, calls + "]}]}"));

  // A long list beside many other fields: the list is not looked for anew for each of its items.
  std::string chat = R"({"messages":[{"role":"user","content":"0"})";
  for (int i = 1; i < 4096; ++i) chat += R"(,{"role":"user","content":"0"})";
  chat += "]";
  for (int i = 0; i < 200'000; ++i) chat += fmt::format(",\"{}\":0", i);
  CHECK(parse(true, chat + "}"));
}

TEST_CASE("template variables are so many and no more, at whatever depth") {
  const auto flat = [](int n) {
    std::string s = R"("chat_template_kwargs":{"z":0)";
    for (int i = 1; i < n; ++i) s += fmt::format(",\"k{}\":0", i);
    return s + "}";
  };
  const auto lists = [](int n) {
    std::string s = R"("chat_template_kwargs":{"z":[{"y":0})";
    for (int i = 2; i < n; ++i) s += R"(,{"y":0})";
    return s + "]}";
  };
  CHECK(parse(true, with(true, flat(256)))->chat.kwargs.size() == 256);
  CHECK(parse(true, with(true, lists(256))));
  for (const auto& many : {flat(257), lists(257), flat(60'000), lists(60'000)}) {
    const auto r = parse(true, with(true, many));
    REQUIRE_FALSE(r);
    CHECK(r.error().status == 400);
    CHECK(r.error().param == "chat_template_kwargs");
    CHECK(r.error().message.find("at most 256") != std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::test
