// Tool calls and reasoning through the API: what an answer and a stream say, and what a leg is bound to.
#include <catch2/catch.hpp>

#include "coordinator/api/output_choice.h"
#include "tests/coordinator_api/api_fixture.h"
#include "text/grammar/sources.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using text::output::ReasoningFormat;
using text::output::ToolFormat;

const json kTools = json::parse(R"([
  {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"integer"}},
   "required":["a"],"additionalProperties":false}}},
  {"type":"function","function":{"name":"g"}}])");
constexpr std::string_view kTwoCalls =
    "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", "
    "\"arguments\": {}}\n</tool_call>";

/// A model that always says the same.
class Model : public Api {
 public:
  explicit Model(std::string says, ToolFormat tools = ToolFormat::hermes,
                 ReasoningFormat reasoning = ReasoningFormat::none) {
    on_io([&] {
      backend().info.output = {tools, reasoning};
      backend().script = [this, says](FakeBackend& b, RequestId id) {
        grammar_ = b.legs.at(id.value()).spec.sampling.grammar.value();
        b.say(id, says);
        b.tokens(id, {TokenEvent{kFakeEos, true, 0, {}}});
        b.finish(id, LegEnd::stop);
      };
      return 0;
    });
  }
  Answer chat(const json& more = json::object()) {
    json body = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"tools", kTools}};
    body.update(more);
    return post("/v1/chat/completions", body);
  }
  std::string grammar() {
    return on_io([this] { return grammar_; });
  }

 private:
  std::string grammar_;
};

/// A stream's deltas, joined as clients join them.
json joined(const Answer& a) {
  json message = {{"content", ""}, {"tool_calls", json::array()}};
  for (const auto& e : a.events) {
    const json& d = e["choices"][0]["delta"];
    for (const char* key : {"content", "reasoning", "reasoning_content"})
      if (d.contains(key)) message[key] = message.value(key, "") + d[key].get<std::string>();
    if (!d.contains("tool_calls")) continue;
    for (const auto& c : d["tool_calls"]) {
      auto& calls = message["tool_calls"];
      const auto i = c["index"].get<std::size_t>();
      if (i == calls.size()) {
        calls.push_back(c);
        calls.back().erase("index");
        continue;
      }
      CHECK_FALSE(c.contains("id"));
      CHECK_FALSE(c["function"].contains("name"));
      calls.at(i)["function"]["arguments"] =
          calls[i]["function"]["arguments"].get<std::string>() + c["function"]["arguments"].get<std::string>();
    }
  }
  return message;
}

void check_two_calls(const json& calls) {
  REQUIRE(calls.size() == 2);
  CHECK(calls[0]["type"] == "function");
  CHECK(calls[0]["id"].get<std::string>().starts_with("call_"));
  CHECK(calls[0]["id"] != calls[1]["id"]);
  CHECK(calls[0]["function"] == json{{"name", "f"}, {"arguments", "{\"a\": 1}"}});
  CHECK(calls[1]["function"] == json{{"name", "g"}, {"arguments", "{}"}});
}

TEST_CASE("calls come as such, whole and streamed") {
  Model model{std::string(kTwoCalls)};
  const auto whole = model.chat().body["choices"][0];
  CHECK(whole["finish_reason"] == "tool_calls");
  CHECK(whole["message"]["content"].is_null());
  CHECK(whole["message"]["role"] == "assistant");
  check_two_calls(whole["message"]["tool_calls"]);
  CHECK(model.grammar().empty());  // what it likes

  const auto streamed = model.chat({{"stream", true}});
  CHECK(streamed.done);
  CHECK(joined(streamed)["content"] == "");
  check_two_calls(joined(streamed)["tool_calls"]);
  CHECK(streamed.events.back()["choices"][0]["finish_reason"] == "tool_calls");
  CHECK(streamed.events.size() > 10);  // arguments come as they are written
}

TEST_CASE("text beside calls is content; without tools, or with none to be called, all is") {
  Model model{"Well.\n" + std::string(kTwoCalls)};
  CHECK(model.chat().body["choices"][0]["message"]["content"] == "Well.\n");
  const auto none = model.chat({{"tool_choice", "none"}}).body["choices"][0];
  CHECK(none["message"]["content"] == "Well.\n" + std::string(kTwoCalls));
  CHECK_FALSE(none["message"].contains("tool_calls"));
  CHECK(none["finish_reason"] == "stop");
  CHECK(model.chat({{"tools", nullptr}}).body["choices"][0]["message"]["content"] == none["message"]["content"]);
  Model unknown{std::string(kTwoCalls), ToolFormat::none};
  CHECK(unknown.chat().body["choices"][0]["message"]["content"] == kTwoCalls);
  CHECK(unknown.chat({{"tool_choice", "required"}}).status == 400);
}

TEST_CASE("a broken call stays content; a stream has told what came of it") {
  const std::string broken = "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":}}</tool_call>";
  Model model{broken};
  const auto whole = model.chat().body["choices"][0];
  CHECK(whole["message"]["content"] == broken);
  CHECK(whole["finish_reason"] == "stop");
  const auto streamed = joined(model.chat({{"stream", true}}));
  CHECK(streamed["content"] == "}}</tool_call>");
  CHECK(streamed["tool_calls"][0]["function"]["arguments"] == "{\"a\":");
}

TEST_CASE("a function that the client named is no choice of the model's") {
  Model model{"<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>"};
  const json named = {{"tool_choice", {{"type", "function"}, {"function", {{"name", "g"}}}}}};
  const auto whole = model.chat(named).body["choices"][0];
  CHECK(whole["finish_reason"] == "stop");
  CHECK(whole["message"]["tool_calls"][0]["function"]["name"] == "g");
  CHECK(model.chat({{"tool_choice", "required"}}).body["choices"][0]["finish_reason"] == "tool_calls");
}

TEST_CASE("ids are what Mistral's templates demand where its format is spoken") {
  Model model{"[TOOL_CALLS]f{\"a\": 1}", ToolFormat::mistral};
  const auto id = model.chat().body["choices"][0]["message"]["tool_calls"][0]["id"].get<std::string>();
  CHECK(id.size() == 9);
  CHECK(std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) != 0; }));
}

TEST_CASE("reasoning is told from the answer, under both names") {
  Model model{"<think>hm</think>\n\nYes", ToolFormat::hermes, ReasoningFormat::qwen3};
  const auto whole = model.chat({{"tools", nullptr}}).body["choices"][0]["message"];
  CHECK(whole["reasoning"] == "hm");
  CHECK(whole["reasoning_content"] == "hm");
  CHECK(whole["content"] == "\n\nYes");
  const auto streamed = joined(model.chat({{"stream", true}}));
  CHECK(streamed["reasoning"] == "hm");
  CHECK(streamed["reasoning_content"] == "hm");
  CHECK(streamed["content"] == "\n\nYes");
  Model thinker{"<think>hm", ToolFormat::none, ReasoningFormat::qwen3};
  CHECK(thinker.chat({{"tools", nullptr}}).body["choices"][0]["message"]["content"].is_null());
}

TEST_CASE("legs are bound where calls are demanded, strict, restricted, or beside a form") {
  Model model{std::string(kTwoCalls)};
  const auto bound = [&](const json& more) {
    const auto a = model.chat(more);
    CAPTURE(a.body.dump());
    CHECK(a.status == 200);
    return model.grammar();
  };
  CHECK(bound({{"tool_choice", "auto"}}).empty());
  const auto required = bound({{"tool_choice", "required"}});
  CHECK_THAT(required, Catch::Contains("arguments"));
  REQUIRE(text::grammar::from_ebnf(required));
  const auto named = bound({{"tool_choice", {{"type", "function"}, {"function", {{"name", "g"}}}}}});
  CHECK_THAT(named, !Catch::Contains("\\\"f\\\""));
  CHECK_FALSE(bound({{"parallel_tool_calls", false}}).empty());
  json strict = kTools;
  strict[0]["function"]["strict"] = true;
  CHECK_FALSE(bound({{"tools", strict}}).empty());
  CHECK(bound({{"tools", strict}, {"tool_choice", "none"}}).empty());
  const json form = {{"response_format", {{"type", "json_object"}}}};
  CHECK_THAT(bound(form), Catch::Contains("tool_call"));
}

TEST_CASE("what cannot be bound is refused, and says why") {
  Model model{std::string(kTwoCalls)};
  auto refused = [&](Model& m, const json& more, std::string_view param) {
    const auto a = m.chat(more);
    CAPTURE(a.body.dump());
    CHECK(a.status == 400);
    CHECK(a.body["error"]["param"] == param);
    return a.body["error"]["message"].get<std::string>();
  };
  json odd = kTools;
  odd[1]["function"]["parameters"] = {{"type", "object"}, {"not", {{"required", {"a"}}}}};
  CHECK_THAT(refused(model, {{"tools", odd}, {"tool_choice", "required"}}, "tools[1].function.parameters"),
             Catch::Contains("not"));
  CHECK(model.chat({{"tools", odd}}).status == 200);  // unbound: the template's alone
  refused(model, {{"tool_choice", "required"}, {"response_format", {{"type", "json_object"}}}}, "tool_choice");
  Model unknown{"", ToolFormat::none};
  CHECK_THAT(refused(unknown, {{"tool_choice", "required"}}, "tool_choice"), Catch::Contains("--tool-call-parser"));
  json strict = kTools;
  strict[0]["function"]["strict"] = true;
  refused(unknown, {{"tools", strict}}, "tools");
  refused(unknown, {{"parallel_tool_calls", false}}, "parallel_tool_calls");
}

TEST_CASE("reasoning stays free before an answer that is bound") {
  Model model{"<think>x</think>{}", ToolFormat::none, ReasoningFormat::deepseek_r1};
  CHECK(model.chat({{"tools", nullptr}, {"response_format", {{"type", "json_object"}}}}).status == 200);
  CHECK_THAT(model.grammar(), Catch::Contains("</think>"));
}

TEST_CASE("parsers are chosen by name, or by the template") {
  FakeModelText text;
  CHECK(OutputChoice{}.of(text)->tools == ToolFormat::hermes);
  CHECK(OutputChoice{.tool_call_parser = "none"}.of(text)->tools == ToolFormat::none);
  CHECK(OutputChoice{.reasoning_parser = "qwen3"}.of(text)->reasoning == ReasoningFormat::qwen3);
  const auto no = OutputChoice{.tool_call_parser = "xml"}.check();
  REQUIRE_FALSE(no);
  CHECK(no.error().param == "--tool-call-parser");
  CHECK_THAT(no.error().message, Catch::Contains("hermes"));
  CHECK(OutputChoice{.reasoning_parser = "xml"}.check().error().param == "--reasoning-parser");
}

}  // namespace
}  // namespace sluice::test
