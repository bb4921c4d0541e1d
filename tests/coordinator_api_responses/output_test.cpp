// Output items and the events of their making.
#include "coordinator/api/responses/output.h"

#include <catch2/catch.hpp>

#include "tests/support/named_events.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;
using text::output::OutputDelta;

std::vector<OutputDelta> everything() {
  return {{.reasoning = "I "},
          {.reasoning = "think."},
          {.content = "\n"},
          {.content = "Let me "},
          {.content = "look.\n"},
          {.calls = {{0, "f", R"({"x")"}}},
          {.calls = {{0, {}, R"(:1})"}, {1, "g", "{}"}}}};
}

TEST_CASE("events come in the order that clients know, numbered without a gap") {
  ResponseEvents events;
  ResponseOutput out("1", &events);
  std::string text;
  for (const auto& d : everything()) {
    out.add(d);
    text += events.take();
  }
  out.finish(false);
  text += events.take();
  const auto all = events_of(text);
  std::vector<std::string> types;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i]["sequence_number"] == i);
    types.push_back(all[i]["type"].get<std::string>().substr(std::string("response.").size()));
  }
  CHECK(types == std::vector<std::string>{"output_item.added",
                                          "content_part.added",
                                          "reasoning_text.delta",
                                          "reasoning_text.delta",
                                          "reasoning_text.done",
                                          "content_part.done",
                                          "output_item.done",  //
                                          "output_item.added",
                                          "content_part.added",
                                          "output_text.delta",
                                          "output_text.delta",
                                          "output_text.done",
                                          "content_part.done",
                                          "output_item.done",  //
                                          "output_item.added",
                                          "function_call_arguments.delta",
                                          "function_call_arguments.delta",
                                          "function_call_arguments.done",
                                          "output_item.done",  //
                                          "output_item.added",
                                          "function_call_arguments.delta",
                                          "function_call_arguments.done",
                                          "output_item.done"});
  // Each piece belongs to an item that was announced, and the pieces join to what is said at its end.
  std::map<std::string, std::string> joined;
  for (const auto& e : all) {
    const std::string type = e["type"];
    if (type.ends_with(".delta")) joined[e["item_id"]] += e["delta"].get<std::string>();
    if (type.ends_with("text.done")) CHECK(joined[e["item_id"]] == e["text"]);
    if (type.ends_with("arguments.done")) CHECK(joined[e["item_id"]] == e["arguments"]);
    if (type == "response.output_item.done") CHECK(e["item"] == out.items()[e["output_index"].get<std::size_t>()]);
  }
}

TEST_CASE("a whole answer has the items that a stream makes") {
  ResponseEvents events;
  ResponseOutput streamed("1", &events), whole("1", nullptr);
  OutputDelta all;
  for (auto& d : everything()) {
    streamed.add(d);
    all.append(d);
  }
  whole.add(all);
  streamed.finish(false);
  whole.finish(false);
  CHECK(streamed.items() == whole.items());
  const json& items = whole.items();
  REQUIRE(items.size() == 4);
  CHECK(items[0]["type"] == "reasoning");
  CHECK(items[0]["content"][0]["text"] == "I think.");
  CHECK(items[1]["content"][0]["text"] == "\nLet me look.\n");
  CHECK(items[1]["status"] == "completed");
  CHECK(items[2]["name"] == "f");
  CHECK(items[2]["arguments"] == R"({"x":1})");
  CHECK(items[3]["call_id"] != items[2]["call_id"]);
}

TEST_CASE("white space alone before a call makes no message") {
  ResponseOutput out("1", nullptr);
  out.add({.content = "\n\n"});
  out.add({.calls = {{0, "f", "{}"}}});
  out.finish(false);
  REQUIRE(out.items().size() == 1);
  CHECK(out.items()[0]["type"] == "function_call");
}

TEST_CASE("an answer always has something to read") {
  for (const bool thought : {false, true}) {
    ResponseOutput out("1", nullptr);
    if (thought) out.add({.reasoning = "hm"});
    out.add({.content = thought ? "" : " "});
    out.finish(false);
    REQUIRE(out.items().size() == (thought ? 2 : 1));
    CHECK(out.items().back()["content"][0]["text"] == (thought ? "" : " "));
  }
}

TEST_CASE("an answer that was cut off in its reasoning has nothing else") {
  ResponseOutput out("1", nullptr);
  out.add({.reasoning = "hm"});
  out.finish(true);
  REQUIRE(out.items().size() == 1);
  CHECK(out.items()[0]["status"] == "incomplete");
}

TEST_CASE("what was cut off says so") {
  ResponseOutput out("1", nullptr);
  out.add({.reasoning = "a", .content = "b"});
  out.finish(true);
  CHECK(out.items()[0]["status"] == "completed");
  CHECK(out.items()[1]["status"] == "incomplete");
}

TEST_CASE("log-probabilities stay with their text") {
  ResponseEvents events;
  ResponseOutput out("1", &events);
  out.add({.content = "a"}, json::array({{{"token", "a"}}}));
  out.add({.content = "b"}, json::array({{{"token", "b"}}}));
  out.finish(false);
  CHECK(out.items()[0]["content"][0]["logprobs"].size() == 2);
  const auto all = events_of(events.take());
  CHECK(all[2]["logprobs"][0]["token"] == "a");
  CHECK(all[4]["logprobs"].size() == 2);
}

}  // namespace
}  // namespace sluice::test
