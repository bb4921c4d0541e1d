// Golden shapes: what client libraries parse.
#include "coordinator/api/openai_json.h"

#include <catch2/catch.hpp>
#include <limits>

#include "coordinator/http/types.h"
#include "tests/support/fake_model_text.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

TokenEvent token(TokenId id, float logprob, std::vector<TokenLogprob> top = {}) {
  TokenEvent t;
  t.id = id;
  t.logprob = logprob;
  t.top = std::move(top);
  return t;
}

TEST_CASE("usage and objects") {
  CHECK(usage_json({10, 5, 3}) == json::parse(R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
    "prompt_tokens_details":{"cached_tokens":3}})"));
  AnswerHead head{"cmpl-1", 99, "m", false};
  CHECK(answer_object(head) ==
        json::parse(R"({"id":"cmpl-1","object":"text_completion","created":99,"model":"m","choices":[]})"));
  CHECK(chunk_object(head)["object"] == "text_completion");
  CHECK_FALSE(answer_object(head).contains("system_fingerprint"));
  head.fingerprint = "fp_1";
  CHECK(answer_object(head)["system_fingerprint"] == "fp_1");
  CHECK(chunk_object(head)["system_fingerprint"] == "fp_1");
  head.chat = true;
  CHECK(answer_object(head)["object"] == "chat.completion");
  CHECK(chunk_object(head)["object"] == "chat.completion.chunk");
}

TEST_CASE("choices of whole answers and of chunks") {
  CHECK(choice_json(true, 1, "hi", nullptr, "stop", nullptr) ==
        json::parse(R"({"index":1,"message":{"role":"assistant","content":"hi","refusal":null},"logprobs":null,
          "finish_reason":"stop","stop_reason":null})"));
  CHECK(choice_json(false, 0, "hi", nullptr, "length", nullptr) ==
        json::parse(R"({"index":0,"text":"hi","logprobs":null,"finish_reason":"length","stop_reason":null})"));
  CHECK(role_choice_json(0) ==
        json::parse(R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})"));
  CHECK(chunk_choice_json(true, 0, "a", nullptr, {}, nullptr) ==
        json::parse(R"({"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null})"));
  CHECK(chunk_choice_json(true, 0, "", nullptr, "stop", "END") ==
        json::parse(R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":"END"})"));
  CHECK(chunk_choice_json(false, 0, "", nullptr, "stop", nullptr) ==
        json::parse(R"({"index":0,"text":"","logprobs":null,"finish_reason":"stop","stop_reason":null})"));
}

TEST_CASE("log-probabilities in both shapes") {
  FakeModelText text;
  LogprobsWriter chat(text, true, 1);
  chat.add(token('a', -0.5F, {{'a', -0.5F}, {'b', -2}}));
  chat.add(token(0xC3, -std::numeric_limits<float>::infinity()));
  CHECK(chat.take() == json::parse(R"({"content":[
    {"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":[97]}]},
    {"token":"\ufffd","logprob":-9999.0,"bytes":[195],"top_logprobs":[]}],"refusal":null})"));
  CHECK(chat.take()["content"].empty());

  LogprobsWriter legacy(text, false, 1);
  legacy.add(token('a', -0.5F, {{'x', -0.25F}}));
  CHECK(legacy.take() == json::parse(R"({"tokens":["a"],"token_logprobs":[-0.5],
    "top_logprobs":[{"x":-0.25,"a":-0.5}],"text_offset":[0]})"));
  legacy.add(token('b', -1));
  CHECK(legacy.take()["text_offset"] == json::array({1}));
  LogprobsWriter bare(text, false, 0);
  bare.add(token('a', -0.5F));
  CHECK(bare.take()["top_logprobs"] == json::array({nullptr}));
}

TEST_CASE("an echoed prompt's log-probabilities come first, null for its first token") {
  FakeModelText text;
  auto prompt = std::make_shared<RatedPrompt>();
  prompt->ids = std::make_shared<const std::vector<TokenId>>(std::vector<TokenId>{kFakeBos, 'h', 0xC3});
  prompt->tokens = {{'h', -0.5F, 1, {{'h', -0.5F}, {'i', -1}}}, {0xC3, -3, 9, {{'x', -0.25F}, {'y', -1}}}};
  LogprobsWriter w(text, false, 1);  // the leg was asked for more, for another list
  w.echo(prompt);
  w.add(token('a', -0.5F, {{'a', -0.5F}}));
  CHECK(w.entries() == 8);
  CHECK(w.take() == json::parse(R"({"tokens":["<s>","h","\ufffd","a"],"token_logprobs":[null,-0.5,-3.0,-0.5],
    "top_logprobs":[null,{"h":-0.5},{"x":-0.25,"\ufffd":-3.0},{"a":-0.5}],"text_offset":[0,3,4,5]})"));
  CHECK(w.take()["tokens"].empty());
}

// lm-eval calls a token greedy when it is as likely as the best of the alternatives: an unlikely one of the same text
// took the likely one's place.
TEST_CASE("of alternatives with one text the likeliest counts") {
  FakeModelText text;
  LogprobsWriter w(text, false, 3);
  w.add(token(0xC3, -0.5F, {{0xC3, -0.5F}, {0xC4, -1}, {'a', -2}}));
  w.add(token(0xC4, -1, {{0xC3, -0.5F}, {0xC4, -1}}));
  CHECK(w.take()["top_logprobs"] == json::parse(R"([{"\ufffd":-0.5,"a":-2.0},{"\ufffd":-0.5}])"));
}

TEST_CASE("prompt_logprobs is a list by position of objects by token id") {
  FakeModelText text;
  RatedPrompt prompt;
  prompt.tokens = {{'h', -0.5F, 1, {{'h', -0.5F}, {'i', -1}}},
                   {'y', -std::numeric_limits<float>::infinity(), 9, {{'x', -0.25F}, {'y', -1}}}};
  CHECK(prompt_logprobs_json(text, prompt, 1) == json::parse(R"([null,
    {"104":{"logprob":-0.5,"rank":1,"decoded_token":"h"}},
    {"120":{"logprob":-0.25,"rank":1,"decoded_token":"x"},"121":{"logprob":-9999.0,"rank":9,"decoded_token":"y"}}])"));
  CHECK(prompt_logprobs_json(text, prompt, 0)[1] ==
        json::parse(R"({"104":{"logprob":-0.5,"rank":1,"decoded_token":"h"}})"));
  prompt.tokens.clear();
  CHECK(prompt_logprobs_json(text, prompt, 5) == json::array({nullptr}));
}

TEST_CASE("the explain object keeps its contract, with null for what is not known") {
  LegStats s;
  s.prefill_node = NodeId("p");
  s.decode_node = NodeId("d");
  s.profile = "q8";
  s.kv_raw_bytes = 100;
  s.kv_wire_bytes = 25;
  s.ttft = std::chrono::milliseconds(20);
  s.stages.wire = std::chrono::milliseconds(3);
  s.kl = 0.5;
  s.extra = {{"resumes", 1}};
  CHECK(explain_json(s) == json::parse(R"({"prefill_node":"p","decode_node":"d","profile":"q8","kv_raw_bytes":100,
    "kv_wire_bytes":25,"ttft_ms":20.0,"tpot_ms":null,"predicted_ttft_ms":null,"quality":{"kl":0.5},"resumes":1,
    "stages_ms":{"queue":0.0,"prefill":0.0,"encode":0.0,"wire":3.0,"decode":0.0}})"));
}

TEST_CASE("errors: one table from house codes to HTTP") {
  auto status = [](Errc c) { return ApiError::from(Error{c, "m", ""}).status; };
  CHECK(status(Errc::invalid_argument) == 400);
  CHECK(status(Errc::unsupported) == 400);
  CHECK(status(Errc::not_found) == 404);
  CHECK(status(Errc::permission_denied) == 403);
  CHECK(status(Errc::resource_exhausted) == 429);
  CHECK(status(Errc::unavailable) == 503);
  CHECK(status(Errc::deadline_exceeded) == 504);
  CHECK(status(Errc::internal) == 500);
  auto r = error_response(ApiError::from(Error{Errc::resource_exhausted, "full", ""}, std::chrono::milliseconds(1200)));
  CHECK(r.headers.find("Retry-After") == "2");
  CHECK(json::parse(r.body) == json::parse(R"({"error":{"message":"full","type":"rate_limit_error","param":null,
    "code":"resource_exhausted"}})"));
  CHECK(error_json(ApiError::invalid("m", "p", "c"))["error"]["param"] == "p");
  // Text from a peer or a model may hold anything: it is sent, with U+FFFD for what is not UTF-8.
  CHECK(dump(json{{"a", "\xff"}}) == "{\"a\":\"\xEF\xBF\xBD\"}");
}

TEST_CASE("models and server-sent events") {
  ModelInfo m;
  m.id = "tiny";
  m.aliases = {"org/tiny"};
  m.max_model_len = 64;
  auto list = models_json(m, 0);
  CHECK(list["object"] == "list");
  REQUIRE(list["data"].size() == 2);
  CHECK(list["data"][0]["id"] == "tiny");
  CHECK(list["data"][0]["object"] == "model");
  CHECK(list["data"][1]["parent"] == "tiny");
  CHECK(sse({{"a", 1}}) == "data: {\"a\":1}\n\n");
}

}  // namespace
}  // namespace sluice::test
