// An answer in blocks: whole, and as the events of a stream.
#include "coordinator/api/messages/shape.h"

#include <catch2/catch.hpp>

#include "coordinator/api/messages/errors.h"
#include "tests/support/named_events.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;
using text::output::OutputDelta;

/// What a client makes of a stream: the message's content, its blocks joined.
json joined(const std::vector<json>& events) {
  json content = json::array();
  std::vector<std::string> inputs;
  bool open = false;
  for (const auto& e : events) {
    const std::string type = e["type"];
    if (type == "content_block_start") {
      CHECK_FALSE(open);
      CHECK(e["index"] == content.size());
      content.push_back(e["content_block"]);
      inputs.emplace_back();
      open = true;
    } else if (type == "content_block_delta") {
      CHECK(open);
      CHECK(e["index"] == content.size() - 1);
      const json& d = e["delta"];
      json& block = content.back();
      if (d["type"] == "text_delta") block["text"] = block["text"].get<std::string>() + d["text"].get<std::string>();
      if (d["type"] == "thinking_delta")
        block["thinking"] = block["thinking"].get<std::string>() + d["thinking"].get<std::string>();
      if (d["type"] == "input_json_delta") inputs.back() += d["partial_json"].get<std::string>();
    } else if (type == "content_block_stop") {
      CHECK(open);
      open = false;
      if (!inputs.back().empty()) content.back()["input"] = json::parse(inputs.back());
    }
  }
  CHECK_FALSE(open);
  return content;
}

MessagesShape shape() { return {"msg_1", "m", "req-1"}; }

struct Told {
  std::vector<OutputDelta> deltas;
  ChoiceEnd end;
};

std::vector<json> stream(const Told& told) {
  MessagesShape s = shape();
  std::string text = s.open(0, "", {.fingerprint = "", .usage = {.prompt_tokens = 7}});
  for (const auto& d : told.deltas) text += s.delta(0, {d, {}}, {});
  text += s.end(0, {}, told.end, true, {});
  text += s.close({.fingerprint = "fp", .usage = {.prompt_tokens = 7, .completion_tokens = 5, .cached_tokens = 2}});
  return events_of(text);
}

json whole(const Told& told) {
  WholeAnswer a{"fp", {}, {.prompt_tokens = 7, .completion_tokens = 5, .cached_tokens = 2}, {}};
  a.choices.resize(1);
  for (const auto& d : told.deltas) a.choices[0].output.add(d);
  a.choices[0].end = told.end;
  return json::parse(shape().whole(std::move(a)).body);
}

TEST_CASE("a stream joins to the blocks of a whole answer") {
  const Told kTold[] = {
      {{{.content = "Hello "}, {.content = "you."}}, {}},
      {{{.reasoning = "I "}, {.reasoning = "think."}, {.content = "So."}}, {}},
      {{{.content = "\n"}, {.calls = {{0, "f", R"({"x")"}}}, {.calls = {{0, {}, ":1}"}, {1, "g", ""}}}},
       {.reason = FinishReason::stop, .calls = 2}},
      {{{.reasoning = "hm"}, {.content = "Look:"}, {.calls = {{0, "f", "{}"}}}},
       {.reason = FinishReason::stop, .calls = 1}},
      {{}, {}},
      {{{.content = " "}}, {}},
      {{{.reasoning = "only"}}, {.reason = FinishReason::length}},
  };
  for (const auto& told : kTold) {
    const auto events = stream(told);
    const json message = whole(told);
    CHECK(joined(events) == message["content"]);
    REQUIRE(events.size() >= 3);
    CHECK(events.front()["type"] == "message_start");
    CHECK(events.front()["message"]["usage"]["input_tokens"] == 7);
    CHECK(events.back()["type"] == "message_stop");
    const json& end = events[events.size() - 2];
    CHECK(end["type"] == "message_delta");
    CHECK(end["delta"]["stop_reason"] == message["stop_reason"]);
    CHECK(end["usage"] == message["usage"]);
  }
}

TEST_CASE("usage tells apart what was there already") {
  const json u = whole({{{.content = "a"}}, {}})["usage"];
  CHECK(u["input_tokens"] == 5);
  CHECK(u["cache_read_input_tokens"] == 2);
  CHECK(u["output_tokens"] == 5);
}

TEST_CASE("why an answer ended") {
  const OutputDelta text{.content = "a"};
  const auto reason = [&](const ChoiceEnd& end) { return whole({{text}, end})["stop_reason"]; };
  CHECK(reason({}) == "end_turn");
  CHECK(reason({.stop_reason = 7}) == "end_turn");
  CHECK(reason({.stop_reason = "x"}) == "stop_sequence");
  CHECK(reason({.reason = FinishReason::length}) == "max_tokens");
  CHECK(reason({.calls = 1}) == "tool_use");
  CHECK(whole({{text}, {.stop_reason = "x"}})["stop_sequence"] == "x");
  CHECK(whole({{text}, {}})["stop_sequence"].is_null());
}

TEST_CASE("a call that was cut off keeps its text") {
  const Told told{{{.calls = {{0, "f", R"({"x":)"}}}}, {.reason = FinishReason::length, .calls = 1}};
  const json m = whole(told);
  CHECK(m["stop_reason"] == "max_tokens");
  CHECK(m["content"][0]["input"]["partial_json"] == R"({"x":)");
}

TEST_CASE("a stream that breaks off ends in an error event") {
  MessagesShape s = shape();
  const auto events = events_of(s.failed(ApiError::from(Error{Errc::unavailable, "the node is gone", {}})));
  REQUIRE(events.size() == 1);
  CHECK(events[0]["type"] == "error");
  CHECK(events[0]["error"]["type"] == "overloaded_error");
  CHECK(events[0]["error"]["message"] == "the node is gone");
  CHECK(events[0]["request_id"] == "req-1");
}

TEST_CASE("a silent stream is kept alive by pings") {
  CHECK(shape().keep_alive() == "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

TEST_CASE("errors have the types that Anthropic's clients know") {
  const std::pair<int, const char*> kTypes[] = {{400, "invalid_request_error"}, {401, "authentication_error"},
                                                {403, "permission_error"},      {404, "not_found_error"},
                                                {405, "invalid_request_error"}, {413, "request_too_large"},
                                                {429, "rate_limit_error"},      {500, "api_error"},
                                                {503, "overloaded_error"},      {504, "timeout_error"}};
  for (const auto& [status, type] : kTypes) {
    ApiError e;
    e.status = status;
    e.message = "m";
    CHECK(messages_error(e, "r") ==
          json({{"type", "error"}, {"error", {{"type", type}, {"message", "m"}}}, {"request_id", "r"}}));
  }
}

}  // namespace
}  // namespace sluice::test
