// How likely a given text is, as evaluation harnesses ask for it.
#include "tests/coordinator_api/api_fixture.h"

namespace sluice::test {
namespace {

TEST_CASE("echo with logprobs covers prompt and answer, as evaluation harnesses read it") {
  Api api;
  auto a = api.post("/v1/completions",
                    {{"prompt", {"ab", json::array({'c', 'd'})}}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 1}});
  REQUIRE(a.status == 200);
  REQUIRE(a.body["choices"].size() == 2);
  const json& first = a.body["choices"][0];
  CHECK(first["text"] == "aba");
  CHECK(first["logprobs"]["tokens"] == json::array({"<s>", "a", "b", "a"}));
  CHECK(first["logprobs"]["token_logprobs"] == json::array({nullptr, -1.0, -2.0, -0.5}));
  CHECK(first["logprobs"]["top_logprobs"] ==
        json::parse(R"([null,{"?":-0.25,"a":-1.0},{"?":-0.25,"b":-2.0},{"a":-0.5}])"));
  CHECK(first["logprobs"]["text_offset"] == json::array({0, 3, 4, 5}));
  CHECK_FALSE(first.contains("prompt_logprobs"));
  CHECK(a.body["choices"][1]["logprobs"]["tokens"] == json::array({"c", "d", "c"}));
  CHECK(a.body["choices"][1]["logprobs"]["token_logprobs"] == json::array({nullptr, -1.0, -0.5}));
  CHECK(a.body["usage"]["completion_tokens"] == 2);
}

TEST_CASE("prompt_logprobs: on each choice of a completion, once for a chat, asked of one leg a prompt") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", {"ab", "c"}}, {"n", 2}, {"prompt_logprobs", 0}});
  REQUIRE(a.body["choices"].size() == 4);
  const json want = json::parse(R"([null,{"97":{"logprob":-1.0,"rank":2,"decoded_token":"a"}},
    {"98":{"logprob":-2.0,"rank":2,"decoded_token":"b"}}])");
  CHECK(a.body["choices"][0]["prompt_logprobs"] == want);
  CHECK(a.body["choices"][1]["prompt_logprobs"] == want);
  CHECK(a.body["choices"][3]["prompt_logprobs"].size() == 2);
  CHECK(a.body["choices"][0]["logprobs"].is_null());
  CHECK_FALSE(a.body.contains("prompt_logprobs"));
  std::vector<bool> asked = api.on_io([&] {
    std::vector<bool> v;
    for (auto& [id, leg] : api.backend().legs) v.push_back(leg.spec.prompt_logprobs.has_value());
    return v;
  });
  CHECK(asked == std::vector<bool>{true, false, true, false});

  auto chat =
      api.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"prompt_logprobs", 1}});
  CHECK(chat.body["prompt_logprobs"].size() == chat.body["usage"]["prompt_tokens"]);
  CHECK(chat.body["prompt_logprobs"][1].size() == 2);
  CHECK_FALSE(chat.body["choices"][0].contains("prompt_logprobs"));
}

TEST_CASE("log-probabilities that come in parts, late and anew count as they came last") {
  Api api;
  api.on_io([&] {
    api.backend().script = [](FakeBackend& b, RequestId id) {
      b.say(id, "x");
      auto sink = b.legs.at(id.value()).sink;
      const RatedToken old{.id = 'a', .logprob = -9, .rank = 9, .top = {}};
      sink->on_prompt_logprobs(2, {&old, 1});
      b.rate(id);
      b.finish(id, LegEnd::length);
    };
  });
  auto a = api.post("/v1/completions", {{"prompt", "ab"}, {"prompt_logprobs", 0}, {"max_tokens", 1}});
  CHECK(a.body["choices"][0]["prompt_logprobs"][2]["98"]["logprob"] == -2.0);
}

TEST_CASE("max_tokens 0 answers with the prompt alone, or nothing") {
  Api api;
  for (const bool stream : {false, true}) {
    auto a = api.post("/v1/completions", {{"prompt", "ab"}, {"max_tokens", 0}, {"echo", true}, {"stream", stream}});
    REQUIRE(a.status == 200);
    const json& choice = stream ? a.events.back()["choices"][0] : a.body["choices"][0];
    CHECK(choice["finish_reason"] == "length");
    CHECK((stream ? streamed_text(a) : choice["text"].get<std::string>()) == "ab");
  }
  auto a = api.post("/v1/completions", {{"prompt", "ab"}, {"max_tokens", 0}, {"logprobs", 1}});
  CHECK(a.body["choices"][0]["text"] == "");
  CHECK(a.body["choices"][0]["logprobs"]["tokens"].empty());
  CHECK(a.body["usage"]["completion_tokens"] == 0);
  CHECK(a.body["usage"]["prompt_tokens"] == 3);
  CHECK(api.on_io([&] { return api.backend().legs.begin()->second.spec.sampling.max_tokens; }) == 1);
  // What is drawn and left out ends nothing.
  api.on_io([&] {
    api.backend().script = [](FakeBackend& b, RequestId id) {
      b.tokens(id, {TokenEvent{kFakeEos, true, 0, {}}});
      b.finish(id, LegEnd::stop);
    };
  });
  auto eos = api.post("/v1/completions",
                      {{"prompt", "ab"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}, {"prompt_logprobs", 0}});
  CHECK(eos.body["choices"][0]["finish_reason"] == "length");
  CHECK(eos.body["choices"][0]["stop_reason"].is_null());
}

TEST_CASE("an answer of too many log-probabilities is refused by name before anything runs") {
  Api api;
  std::vector<std::string> prompts(64, std::string(250, 'a'));
  auto a = api.post("/v1/completions", {{"prompt", prompts}, {"prompt_logprobs", 20}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["param"] == "prompt_logprobs");
  a = api.post("/v1/completions", {{"prompt", prompts}, {"logprobs", 20}, {"echo", true}, {"max_tokens", 1}});
  CHECK(a.body["error"]["param"] == "logprobs");
  CHECK(api.on_io([&] { return api.backend().legs.size(); }) == 0);
}

TEST_CASE("/tokenizer_info tells the model's tokenizer configuration where it has one") {
  Api api;
  auto a = api.get("/tokenizer_info");
  CHECK(a.status == 200);
  CHECK(a.body["eos_token"] == "</s>");
  api.on_io([&] { api.backend().info.tokenizer_info.clear(); });
  CHECK(api.get("/tokenizer_info").status == 404);
}

}  // namespace
}  // namespace sluice::test
