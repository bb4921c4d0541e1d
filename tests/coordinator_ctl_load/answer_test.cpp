#include "coordinator/ctl/load/answer.h"

#include <catch2/catch.hpp>

using namespace sluice::ctl::load;
using nlohmann::json;

namespace {

struct Read {
  RequestResult result;
  std::string text;
};

/// Reads events that come 10 ms apart, the first after 10 ms.
Read read(const std::vector<std::string>& events) {
  Read r;
  AnswerReader reader(r.result, true);
  double at = 0;
  for (const auto& e : events) reader.event(e, at += 10);
  reader.end();
  r.text = reader.text();
  return r;
}

}  // namespace

TEST_CASE("a completion's stream is read: times, tokens by usage, what Sluice explains") {
  const Read r = read({R"({"choices":[{"index":0,"text":"a","finish_reason":null}],"usage":null})",
                       R"({"choices":[{"index":0,"text":"bc","finish_reason":null}]})",
                       R"({"choices":[{"index":0,"text":"","finish_reason":"length"}]})",
                       R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3},"sluice":{"profile":"q8",
                           "kv_raw_bytes":100,"kv_wire_bytes":40,"ttft_ms":10.0,"predicted_ttft_ms":12.0}})",
                       "[DONE]", R"({"choices":[{"text":"late"}]})"});
  CHECK(r.result.error.empty());
  CHECK(r.result.ttft_ms == 10);
  CHECK(r.result.itl_ms == std::vector<float>{10, 10});
  CHECK(r.result.e2el_ms == 30);
  CHECK(r.result.output_tokens == 3);
  CHECK(r.result.input_tokens == 7);
  CHECK(r.result.usage);
  CHECK(r.text == "abc");
  REQUIRE(r.result.explained);
  CHECK(r.result.explained->profile == "q8");
  CHECK(r.result.explained->kv_wire_bytes == 40);
  CHECK(r.result.explained->predicted_ttft_ms == 12.0);
}

TEST_CASE("a chat's opening chunk is no token, thinking is, and without usage chunks with text are counted") {
  const Read r = read({R"({"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]})",
                       R"({"choices":[{"delta":{"reasoning_content":"hm"},"finish_reason":null}]})",
                       R"({"choices":[{"delta":{"content":" yes"},"finish_reason":null}]})",
                       R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", "[DONE]"});
  CHECK(r.result.error.empty());
  CHECK(r.result.ttft_ms == 20);
  CHECK(r.result.e2el_ms == 40);
  CHECK(r.result.output_tokens == 2);
  CHECK_FALSE(r.result.usage);
  CHECK(r.text == "hm yes");
}

TEST_CASE("a role that comes with the first text is a token") {
  CHECK(read({R"({"choices":[{"delta":{"role":"assistant","content":"Hi"}}]})", "[DONE]"}).result.ttft_ms == 10);
}

TEST_CASE("answers that fail say of what kind the failure is") {
  const auto kind = [](const std::vector<std::string>& events) { return read(events).result.error_kind; };
  CHECK(kind({"{"}) == "bad answer");
  CHECK(kind({R"({"choices":[{"text":"a"}]})"}) == "cut short");
  CHECK(kind({"[DONE]"}) == "empty");
  CHECK(kind({R"({"error":{"message":"no room","code":503}})", "[DONE]"}) == "error in the stream");
  CHECK(read({R"({"error":{"message":"no\nroom"}})"}).result.error == "no?room");
  // Of another type than expected: passed over, never a crash.
  for (const char* odd : {"[]", "3", R"({"choices":3})", R"({"choices":[3]})", R"({"choices":[{"text":5}],"usage":[]})",
                          R"({"choices":[{"delta":"x"}],"sluice":7,"usage":{"completion_tokens":-4}})"}) {
    CAPTURE(odd);
    const auto r = read({odd, "[DONE]"});
    CHECK(r.result.output_tokens == 0);
  }
}

TEST_CASE("a body has what the rules say, and --extra-body wins") {
  Turn turn;
  turn.prompt.tokens = {4, 5};
  turn.output_tokens = 9;
  BodyRules rules{.model = "m", .explain = true, .profile = "q8"};
  json b = json::parse(body_of(rules, turn, {}));
  CHECK(b["prompt"] == json({4, 5}));
  CHECK(b["max_tokens"] == 9);
  CHECK(b["stream"] == true);
  CHECK(b["ignore_eos"] == true);
  CHECK(b["stream_options"]["include_usage"] == true);
  CHECK(b["sluice"] == json({{"explain", true}, {"profile", "q8"}}));
  rules = {.model = "m",
           .chat = true,
           .usage = false,
           .ignore_eos = false,
           .extra = {{"temperature", 0.7}, {"max_tokens", nullptr}, {"max_completion_tokens", 9}}};
  turn.prompt = {.text = "now"};
  b = json::parse(body_of(rules, turn, {{"before", "so"}}));
  CHECK(b["messages"] == json::parse(R"([{"role":"user","content":"before"},{"role":"assistant","content":"so"},
                                         {"role":"user","content":"now"}])"));
  CHECK(b["temperature"] == 0.7);
  CHECK(b["max_completion_tokens"] == 9);
  for (const char* gone : {"max_tokens", "ignore_eos", "stream_options", "sluice"}) CHECK_FALSE(b.contains(gone));
  rules.chat = false;
  CHECK(json::parse(body_of(rules, turn, {{"before", "so"}}))["prompt"] == "before\nso\nnow");
}
