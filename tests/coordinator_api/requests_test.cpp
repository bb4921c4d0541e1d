// What the fields of the API mean, once they are accepted.
#include "coordinator/api/requests.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "common/control/messages.h"
#include "tests/coordinator_api/request_bodies.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

TEST_CASE("an unknown model is 404 model_not_found; aliases and no name at all are served") {
  auto r = parse(false, with(false, R"("model":"gpt-4")"));
  REQUIRE_FALSE(r);
  CHECK(r.error().status == 404);
  CHECK(r.error().code == "model_not_found");
  CHECK(r.error().param == "model");
  CHECK(parse(false, with(false, R"("model":"tiny")")));
  CHECK(parse(true, with(true, R"("model":"org/tiny")")));
  CHECK(parse(true, with(true, "")));
}

TEST_CASE("defaults come from the model; null means absent; unknown fields are ignored") {
  auto r = parse(false, with(false, R"("temperature":null,"stop":null,"n":null,"from_the_future":{"x":1})"));
  REQUIRE(r);
  CHECK(r->sampling.temperature == 0.6);
  CHECK(r->n == 1);
  CHECK(r->stop.empty());
  CHECK_FALSE(r->max_tokens);
  CHECK_FALSE(r->seed);
  CHECK_FALSE(r->sampling.logprobs);
  CHECK(r->add_special_tokens);
  CHECK_FALSE(parse(true, with(true, ""))->add_special_tokens);
}

TEST_CASE("every good field lands where it belongs") {
  auto r = parse(false, with(false, R"("max_tokens":7,"n":2,"best_of":2,"stream":true,
    "stream_options":{"include_usage":true,"continuous_usage_stats":true},"stop":["a","b"],"temperature":0,"top_p":0.5,
    "top_k":-1,"min_p":0.1,"repetition_penalty":1.1,"presence_penalty":-2,"frequency_penalty":2,
    "logit_bias":{"7":-100,"3":1.5},"seed":-1,"min_tokens":2,"ignore_eos":true,"stop_token_ids":[1,2],"logprobs":0,
    "user":"u","cache_salt":"s","priority":-3,"request_id":"my id","skip_special_tokens":false,
    "include_stop_str_in_output":true,"response_format":{"type":"text"},
    "sluice":{"explain":true,"profile":"q4","quality_budget":0.02,"mode":"split","unknown":1})"),
                 {{"X-SLO-TTFT-ms", "250"}, {"x-slo-tpot-ms", "12.5"}});
  REQUIRE(r);
  CHECK(r->max_tokens == 7);
  CHECK(r->n == 2);
  CHECK(r->stream);
  CHECK(r->include_usage);
  CHECK(r->continuous_usage);
  CHECK(r->stop == std::vector<std::string>{"a", "b"});
  const auto& s = r->sampling;
  CHECK(s.temperature == 0);
  CHECK(s.top_p == 0.5);
  CHECK(s.top_k == 0);
  CHECK(s.min_p == 0.1);
  CHECK(s.repetition_penalty == 1.1);
  CHECK(s.presence_penalty == -2);
  CHECK(s.frequency_penalty == 2);
  CHECK(s.logit_bias == std::vector<std::pair<TokenId, double>>{{3, 1.5}, {7, -100}});
  CHECK(r->seed == ~std::uint64_t{0});
  CHECK(s.min_tokens == 2);
  CHECK(s.ignore_eos);
  CHECK(s.stop_token_ids == std::vector<TokenId>{1, 2});
  CHECK(s.logprobs == 0);
  CHECK(r->user == "u");
  CHECK(r->cache_salt == "s");
  CHECK(r->priority == -3);
  CHECK(r->request_id == "myid");
  CHECK_FALSE(r->skip_special_tokens);
  CHECK(r->include_stop_str);
  CHECK(r->explain);
  CHECK(r->profile == "q4");
  CHECK(r->quality_budget == 0.02);
  CHECK(r->mode == LegMode::split);
  CHECK(r->slo_ttft == std::chrono::milliseconds(250));
  CHECK(r->slo_tpot == std::chrono::microseconds(12500));
  CHECK(parse(true, with(true, R"("max_tokens":7,"max_completion_tokens":9)"))->max_tokens == 9);
  CHECK(parse(true, with(true, R"("logprobs":true,"top_logprobs":3)"))->sampling.logprobs == 3);
  CHECK(parse(true, with(true, R"("logprobs":true)"))->sampling.logprobs == 0);
}

TEST_CASE("log-probabilities of the prompt are wanted for their list, or for an echo that has some") {
  CHECK_FALSE(parse(false, with(false, R"("logprobs":3)"))->rates_prompt());
  CHECK_FALSE(parse(false, with(false, R"("echo":true)"))->rates_prompt());
  CHECK_FALSE(parse(true, with(true, R"("logprobs":true)"))->rates_prompt());
  CHECK(parse(false, with(false, R"("echo":true,"logprobs":3)"))->rates_prompt() == 3);
  CHECK(parse(false, with(false, R"("echo":true,"logprobs":0)"))->rates_prompt() == 0);
  CHECK(parse(false, with(false, R"("prompt_logprobs":0)"))->rates_prompt() == 0);
  CHECK(parse(false, with(false, R"("prompt_logprobs":2,"logprobs":5)"))->rates_prompt() == 2);
  CHECK(parse(false, with(false, R"("prompt_logprobs":2,"logprobs":5,"echo":true)"))->rates_prompt() == 5);
  CHECK(parse(true, with(true, R"("prompt_logprobs":20)"))->rates_prompt() == 20);
}

TEST_CASE("a completion of no tokens is one token's room that says nothing") {
  const auto none = parse(false, with(false, R"("max_tokens":0)"));
  REQUIRE(none);
  CHECK(none->max_tokens == 0);
  CHECK(fit(*none, 3, tiny()) == 1);
}

TEST_CASE("SLO headers must be positive milliseconds") {
  for (const char* bad : {"", "0", "-5", "fast", "5ms", "nan", "inf", "1e99"})
    for (const char* header : {"x-slo-ttft-ms", "x-slo-tpot-ms"}) {
      INFO(header << "=" << bad);
      auto r = parse(true, with(true, ""), {{header, bad}});
      REQUIRE_FALSE(r);
      CHECK(r.error().param == header);
    }
}

TEST_CASE("prompts come as text, ids, or a batch of either") {
  using Ids = std::vector<TokenId>;
  CHECK(std::get<Ids>(parse(false, R"({"prompt":[1,2]})")->prompts.at(0)) == Ids{1, 2});
  auto batch = parse(false, R"({"prompt":["a",[3],"b"]})");
  REQUIRE(batch);
  REQUIRE(batch->prompts.size() == 3);
  CHECK(std::get<std::string>(batch->prompts[2]) == "b");
  CHECK(std::get<Ids>(batch->prompts[1]) == Ids{3});
}

TEST_CASE("fit settles max_tokens within the context") {
  auto ask = [](bool chat, const std::string& extra) { return *parse(chat, with(chat, extra)); };
  CHECK(*fit(ask(false, ""), 10, tiny()) == 16);
  CHECK(*fit(ask(false, ""), 95, tiny()) == 5);
  CHECK(*fit(ask(true, ""), 10, tiny()) == 90);
  CHECK(*fit(ask(true, R"("max_tokens":90)"), 10, tiny()) == 90);
  using P = std::pair<std::string, std::string>;
  auto refused = [&](bool chat, const std::string& extra, std::size_t prompt) {
    auto r = fit(ask(chat, extra), prompt, tiny());
    REQUIRE_FALSE(r);
    CHECK(r.error().status == 400);
    return P(r.error().code, r.error().param);
  };
  CHECK(refused(true, R"("max_tokens":91)", 10) == P{"context_length_exceeded", "max_tokens"});
  CHECK(refused(true, "", 100) == P{"context_length_exceeded", "messages"});
  CHECK(refused(false, "", 5000) == P{"context_length_exceeded", "prompt"});
  CHECK(refused(false, R"("min_tokens":50)", 10) == P{"invalid_value", "min_tokens"});
  CHECK(refused(false, "", 0).second == "prompt");
}

// A chat without max_tokens was refused for a max_tokens that nobody sent where KV memory held less than the context.
TEST_CASE("fit keeps to what the nodes' KV memory holds") {
  auto ask = [](bool chat, const std::string& extra) { return *parse(chat, with(chat, extra)); };
  CHECK(*fit(ask(true, ""), 10, tiny(), 64) == 54);
  CHECK(*fit(ask(true, ""), 10, tiny(), 1000) == 90);
  CHECK(*fit(ask(false, ""), 60, tiny(), 64) == 4);
  CHECK(*fit(ask(true, R"("max_tokens":54)"), 10, tiny(), 64) == 54);
  auto r = fit(ask(true, R"("max_tokens":55)"), 10, tiny(), 64);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == "context_length_exceeded");
  CHECK(r.error().param == "max_tokens");
  CHECK_THAT(r.error().message, Catch::Contains("64 tokens that the nodes' KV memory holds") &&
                                    Catch::Contains("context is 100") && Catch::Contains("At most 54"));
  r = fit(ask(true, ""), 64, tiny(), 64);
  REQUIRE_FALSE(r);
  CHECK(r.error().param == "messages");
}

TEST_CASE("sampling parameters survive the way to the node and are checked there") {
  auto q = parse(false, with(false, R"("logit_bias":{"7":-100},"stop_token_ids":[5],"logprobs":3,"top_k":4)"));
  REQUIRE(q);
  auto s = q->sampling;
  s.seed = ~std::uint64_t{0};
  s.max_tokens = 9;
  CHECK(control::parse<control::SamplingSpec>(json::from_cbor(json::to_cbor(control::to_json(s)))).value() == s);
  CHECK(control::parse<control::SamplingSpec>(json::object()).value() == control::SamplingSpec{});
  CHECK(control::parse<control::SamplingSpec>({{"top_k", "many"}}).error().param == "top_k");
  s.temperature = std::nan("");
  CHECK(control::check(s).error().param == "temperature");
  s = {};
  s.max_tokens = 0;
  CHECK(control::check(s).error().param == "max_tokens");
}

TEST_CASE("tokenize and detokenize requests") {
  CHECK(*parse_tokenize(R"({"prompt":"a"})", tiny())->text == "a");
  CHECK(parse_tokenize(R"({"messages":[{"role":"user","content":"a"}]})", tiny())->chat.messages.size() == 1);
  CHECK(parse_tokenize(R"({})", tiny()).error().param == "prompt");
  CHECK(parse_tokenize(R"({"prompt":["a"]})", tiny()).error().param == "prompt");
  CHECK(*parse_detokenize(R"({"tokens":[1,2]})", tiny()) == std::vector<TokenId>{1, 2});
  CHECK(parse_detokenize(R"({"tokens":[]})", tiny())->empty());
  CHECK(parse_detokenize(R"({"tokens":[1000]})", tiny()).error().param == "tokens");
  CHECK(parse_detokenize(R"({})", tiny()).error().param == "tokens");
}

}  // namespace
}  // namespace sluice::test
