// The API end to end: what clients ask and what they are answered.
#include "tests/coordinator_api/api_fixture.h"
#include "tests/support/skip.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("a completion: text, usage, finish reason, id") {
  Api api;
  auto a = api.post("/v1/completions", {{"model", "fake"}, {"prompt", "hello"}, {"seed", 5}}, "x-request-id: r7\r\n");
  CHECK(a.status == 200);
  CHECK_THAT(a.head, Contains("x-request-id: r7\r\n") && Contains("content-type: application/json"));
  CHECK(a.body["id"] == "cmpl-r7");
  CHECK(a.body["object"] == "text_completion");
  CHECK(a.body["model"] == "fake");
  REQUIRE(a.body["choices"].size() == 1);
  CHECK(a.body["choices"][0]["text"] == "hello");
  CHECK(a.body["choices"][0]["finish_reason"] == "stop");
  CHECK(a.body["usage"]["prompt_tokens"] == 6);      // BOS
  CHECK(a.body["usage"]["completion_tokens"] == 6);  // EOS
  CHECK(a.body["usage"]["prompt_tokens_details"]["cached_tokens"] == 2);
  CHECK_FALSE(a.body.contains("sluice"));
  const auto spec = api.on_io([&] { return api.backend().legs.begin()->second.spec; });
  CHECK(spec.request_id == "r7");
  CHECK(spec.sampling.seed == 5);
  CHECK(spec.sampling.max_tokens == 16);
  CHECK_FALSE(spec.profile);
}

TEST_CASE("every answer says what decides its bits") {
  Api api;
  const json ask{{"prompt", "hi"}, {"seed", 1}};
  const std::string one = "fp_0123456789abcdef";
  CHECK(api.post("/v1/completions", ask).body["system_fingerprint"] == one);
  const json chat{{"messages", {{{"role", "user"}, {"content", "a"}}}},
                  {"stream", true},
                  {"stream_options", {{"include_usage", true}}}};
  const auto streamed = api.post("/v1/chat/completions", chat);
  REQUIRE(streamed.events.size() > 3);
  for (const auto& e : streamed.events) CHECK(e["system_fingerprint"] == one);
}

TEST_CASE("choices with different bits: each chunk has its choice's fingerprint, the whole answer one over all") {
  Api api;
  api.on_io([&] {
    api.backend().fingerprint = [](int choice) { return fmt::format("fp_{}", choice); };
    return 0;
  });
  json ask{{"prompt", "hi"}, {"n", 2}};
  const auto whole = api.post("/v1/completions", ask).body["system_fingerprint"].get<std::string>();
  CHECK_THAT(whole, Catch::Matches("fp_[0-9a-f]{16}"));
  ask["stream"] = true;
  ask["stream_options"] = {{"include_usage", true}};
  const auto streamed = api.post("/v1/completions", ask);
  for (const auto& e : streamed.events) {
    if (e["choices"].empty())
      CHECK(e["system_fingerprint"] == whole);
    else
      CHECK(e["system_fingerprint"] == fmt::format("fp_{}", e["choices"][0]["index"].get<int>()));
  }
}

TEST_CASE("a chat answer renders the template and explains itself when asked") {
  Api api;
  auto a = api.post("/v1/chat/completions",
                    {{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                     {"sluice", {{"explain", true}, {"profile", "q8"}, {"quality_budget", 0.5}, {"mode", "split"}}},
                     {"priority", 3}},
                    "x-slo-ttft-ms: 100\r\n");
  CHECK(a.status == 200);
  CHECK(a.body["object"] == "chat.completion");
  CHECK(a.body["choices"][0]["message"]["role"] == "assistant");
  CHECK(a.body["choices"][0]["message"]["content"] == "user:hi\nassistant:");
  CHECK(a.body["sluice"]["prefill_node"] == "prefill-0");
  CHECK(a.body["sluice"]["quality"]["kl"] == 0.01);
  CHECK_FALSE(a.body["sluice"].contains("choices"));
  const auto spec = api.on_io([&] { return api.backend().legs.begin()->second.spec; });
  CHECK(spec.profile == "q8");
  CHECK(spec.quality_budget == 0.5);
  CHECK(spec.mode == LegMode::split);
  CHECK(spec.priority == 3);
  CHECK(spec.slo_ttft == 100ms);
  CHECK(spec.sampling.max_tokens == 256 - static_cast<int>(spec.prompt->size()));
}

TEST_CASE("a chat stream: role first, deltas, finish, usage, DONE") {
  Api api;
  auto a = api.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "h\u00e9"}}}},
                                             {"stream", true},
                                             {"stream_options", {{"include_usage", true}}},
                                             {"sluice", {{"explain", true}}}});
  CHECK(a.status == 200);
  CHECK_THAT(a.head, Contains("content-type: text/event-stream"));
  CHECK(a.done);
  REQUIRE(a.events.size() > 4);
  CHECK(a.events.front()["choices"][0]["delta"] == json{{"role", "assistant"}, {"content", ""}});
  CHECK(a.events.front()["usage"].is_null());
  CHECK(streamed_text(a) == "user:h\u00e9\nassistant:");
  const auto& finish = a.events[a.events.size() - 2];
  CHECK(finish["choices"][0]["finish_reason"] == "stop");
  CHECK_FALSE(finish.contains("sluice"));
  const auto& last = a.events.back();
  CHECK(last["choices"].empty());
  CHECK(last["usage"]["completion_tokens"] == 20);
  CHECK(last["sluice"]["decode_node"] == "decode-0");
  for (const auto& e : a.events) CHECK(e["id"] == a.events[0]["id"]);
}

TEST_CASE("without include_usage the explain object rides on the last choice's finish") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", "ab"}, {"stream", true}, {"sluice", {{"explain", true}}}});
  CHECK(a.done);
  CHECK(a.events.back()["choices"][0]["finish_reason"] == "stop");
  CHECK(a.events.back()["sluice"]["profile"] == "q8");
  CHECK_FALSE(a.events.front().contains("usage"));
}

TEST_CASE("continuous usage counts up") {
  Api api;
  auto a =
      api.post("/v1/completions", {{"prompt", "ab"},
                                   {"stream", true},
                                   {"stream_options", {{"include_usage", true}, {"continuous_usage_stats", true}}}});
  CHECK(a.events[0]["usage"]["completion_tokens"] == 1);
  CHECK(a.events[1]["usage"]["completion_tokens"] == 2);
}

TEST_CASE("n choices of several prompts: prompt-major indices, one seed each, usage once a prompt") {
  Api api;
  auto a =
      api.post("/v1/completions",
               {{"prompt", {"ab", "cd"}}, {"n", 2}, {"seed", 40}, {"echo", true}, {"sluice", {{"explain", true}}}});
  REQUIRE(a.body["choices"].size() == 4);
  CHECK(a.body["choices"][1]["text"] == "abab");
  CHECK(a.body["choices"][2]["text"] == "cdcd");
  CHECK(a.body["choices"][2]["index"] == 2);
  CHECK(a.body["usage"]["prompt_tokens"] == 6);
  CHECK(a.body["usage"]["completion_tokens"] == 12);
  CHECK(a.body["sluice"]["choices"].size() == 4);
  std::vector<std::uint64_t> seeds = api.on_io([&] {
    std::vector<std::uint64_t> s;
    for (auto& [id, leg] : api.backend().legs) s.push_back(leg.spec.sampling.seed);
    return s;
  });
  CHECK(seeds == std::vector<std::uint64_t>{40, 41, 40, 41});
  a = api.post("/v1/completions", {{"prompt", {"ab", "cd"}}, {"stream", true}});
  CHECK(streamed_text(a, 0) == "ab");
  CHECK(streamed_text(a, 1) == "cd");
  CHECK(a.done);
}

TEST_CASE("a stop string cancels the leg and ends the answer as stop") {
  Api api;
  for (bool stream : {false, true}) {
    auto a = api.post("/v1/completions",
                      {{"prompt", "one STOP two"}, {"stop", "STOP"}, {"stream", stream}, {"max_tokens", 50}});
    CHECK((stream ? streamed_text(a) : a.body["choices"][0]["text"].get<std::string>()) == "one ");
    const json& choice = stream ? a.events.back()["choices"][0] : a.body["choices"][0];
    CHECK(choice["finish_reason"] == "stop");
    CHECK(choice["stop_reason"] == "STOP");
    if (!stream) CHECK(a.body["usage"]["completion_tokens"] == 8);
  }
  // The fake says everything in one go, so its leg may have ended before the cancel could reach it.
  api.on_io([&] { api.backend().script = [](FakeBackend& b, RequestId id) { b.say(id, "xSTOP"); }; });
  auto a = api.post("/v1/completions", {{"prompt", "p"}, {"stop", {"STOP"}}});
  CHECK(a.body["choices"][0]["text"] == "x");
  CHECK(api.on_io([&] { return api.backend().cancels.back(); }) == CancelReason::stop_string);
}

TEST_CASE("log-probabilities reach both shapes") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", "ab"}, {"logprobs", 1}});
  CHECK(a.body["choices"][0]["logprobs"]["tokens"] == json::array({"a", "b"}));
  CHECK(a.body["choices"][0]["logprobs"]["text_offset"] == json::array({0, 1}));
  a = api.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "x"}}}},
                                        {"logprobs", true},
                                        {"top_logprobs", 2},
                                        {"stream", true}});
  std::size_t entries = 0;
  for (const auto& e : a.events)
    if (!e["choices"][0]["logprobs"].is_null())
      for (const auto& entry : e["choices"][0]["logprobs"]["content"]) {
        ++entries;
        CHECK(entry["top_logprobs"].size() == 2);
      }
  CHECK(entries == std::string("user:x\nassistant:").size());
}

TEST_CASE("token ids of prompt and answer come along where they are asked for") {
  Api api;
  const auto ids_in = [](const Answer& a) {
    json all = json::array();
    for (const auto& e : a.events)
      for (const auto& c : e["choices"])
        if (c.contains("token_ids")) all.insert(all.end(), c["token_ids"].begin(), c["token_ids"].end());
    return all;
  };
  const json completion = {{"prompt", "ab"}, {"max_tokens", 3}, {"return_token_ids", true}};
  const auto whole = api.post("/v1/completions", completion);
  REQUIRE(whole.status == 200);
  CHECK(whole.body["choices"][0]["prompt_token_ids"] == json{256, 'a', 'b'});
  CHECK(whole.body["choices"][0]["token_ids"].size() == whole.body["usage"]["completion_tokens"]);
  json streamed = completion;
  streamed["stream"] = true;
  auto a = api.post("/v1/completions", streamed);
  CHECK(a.events[0]["choices"][0]["prompt_token_ids"] == json{256, 'a', 'b'});
  CHECK(ids_in(a) == whole.body["choices"][0]["token_ids"]);

  json chat = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"max_tokens", 3}, {"return_token_ids", true}};
  const auto said = api.post("/v1/chat/completions", chat);
  CHECK(said.body["prompt_token_ids"].size() == said.body["usage"]["prompt_tokens"]);
  CHECK(said.body["choices"][0]["token_ids"].size() == 3);
  chat["stream"] = true;
  a = api.post("/v1/chat/completions", chat);
  CHECK(a.events[0]["prompt_token_ids"] == said.body["prompt_token_ids"]);
  CHECK_FALSE(a.events[1].contains("prompt_token_ids"));
  CHECK(ids_in(a) == said.body["choices"][0]["token_ids"]);

  a = api.post("/v1/completions",
               {{"prompt", "ab"}, {"max_tokens", 1}, {"logprobs", 1}, {"return_tokens_as_token_ids", true}});
  CHECK(a.body["choices"][0]["logprobs"]["tokens"][0].get<std::string>().starts_with("token_id:"));
  CHECK_FALSE(a.body["choices"][0].contains("token_ids"));
}

TEST_CASE("max_tokens ends with length") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", "abcdef"}, {"max_tokens", 3}});
  CHECK(a.body["choices"][0]["text"] == "abc");
  CHECK(a.body["choices"][0]["finish_reason"] == "length");
  CHECK(a.body["usage"]["completion_tokens"] == 3);
}

TEST_CASE("a refusal is a real status, for streams too; Retry-After tells when") {
  Api api;
  api.on_io([&] {
    api.backend().script = [](FakeBackend& b, RequestId id) {
      b.fail_leg(id, Error{Errc::resource_exhausted, "no room", {}}, 2s);
    };
  });
  for (bool stream : {false, true}) {
    auto a = api.post("/v1/completions", {{"prompt", "x"}, {"stream", stream}, {"n", 3}});
    CHECK(a.status == 429);
    CHECK_THAT(a.head, Contains("retry-after: 2\r\n"));
    CHECK(a.body["error"]["type"] == "rate_limit_error");
    CHECK(a.body["error"]["message"] == "no room");
  }
  CHECK(api.eventually([](FakeBackend& b) {
    for (auto& [id, leg] : b.legs)
      if (leg.sink) return false;
    return true;
  }));
}

TEST_CASE("an error after the first token is an event in the stream, then DONE") {
  Api api;
  api.on_io([&] {
    api.backend().script = [](FakeBackend& b, RequestId id) {
      b.say(id, "par");
      b.fail_leg(id, Error{Errc::unavailable, "node lost", {}});
    };
  });
  auto a = api.post("/v1/completions", {{"prompt", "x"}, {"stream", true}});
  CHECK(a.status == 200);
  CHECK(a.done);
  CHECK(streamed_text({.events = {a.events.begin(), a.events.end() - 1}}) == "par");
  CHECK(a.events.back()["error"]["message"] == "node lost");
  auto whole = api.post("/v1/completions", {{"prompt", "x"}});
  CHECK(whole.status == 503);
}

TEST_CASE("a client that leaves has all its legs cancelled, streaming or not") {
  Api api;
  api.on_io([&] { api.backend().script = [](FakeBackend& b, RequestId id) { b.say(id, "a"); }; });
  std::size_t expected = 0;
  for (bool stream : {true, false}) {
    RawClient c(api.port());
    c.send(Api::post_text("/v1/completions", json{{"prompt", "x"}, {"n", 2}, {"stream", stream}}.dump()));
    REQUIRE(api.eventually([&](FakeBackend& b) { return b.legs.size() == expected + 2; }));
    if (stream) c.read_until("data: ");
    c.close();
    expected += 2;
    CHECK(api.eventually(
        [&](FakeBackend& b) { return b.cancels.size() == expected && b.cancels.back() == CancelReason::client_gone; }));
  }
  CHECK(api.eventually([](FakeBackend& b) {
    for (auto& [id, leg] : b.legs)
      if (leg.sink) return false;
    return true;
  }));
}

TEST_CASE("a client that leaves while its prompt is read has no leg started") {
  Api api;
  if (front_threads() > 1) SLUICE_SKIP("the test holds prompts back on one thread");
  api.on_io([&] { api.prompts().hold = true; });
  RawClient c(api.port());
  c.send(Api::post_text("/v1/completions", json{{"prompt", "x"}, {"n", 2}}.dump()));
  c.close();
  REQUIRE(api.eventually([&](FakeBackend&) { return api.prompts().client_gone(); }));
  api.on_io([&] {
    api.prompts().hold = false;
    api.prompts().release();
  });
  CHECK(api.post("/v1/completions", {{"prompt", "y"}}).status == 200);
  CHECK(api.on_io([&] { return api.backend().legs.size(); }) == 1);
}

TEST_CASE("a backend that forgets a leg still gives the client an answer") {
  Api api;
  api.on_io([&] { api.backend().script = [](FakeBackend& b, RequestId id) { b.legs.at(id.value()).sink.reset(); }; });
  CHECK(api.post("/v1/completions", {{"prompt", "x"}}).status == 500);
}

TEST_CASE("bad requests, contexts and templates name the parameter") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", std::string(300, 'x')}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["code"] == "context_length_exceeded");
  a = api.post("/v1/chat/completions", {{"messages", json::array()}});
  CHECK(a.body["error"]["param"] == "messages");
  a = api.post("/v1/chat/completions", {{"messages", {{{"role", "tool"}, {"content", "x"}}}}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["param"] == "messages");
  a = api.post("/v1/completions", {{"model", "nope"}, {"prompt", "x"}});
  CHECK(a.status == 404);
  CHECK(a.body["error"]["code"] == "model_not_found");
  CHECK(api.on_io([&] { return api.backend().legs.empty(); }));
}

TEST_CASE("a batch and its echo have bounds, told in words") {
  Api api;
  api.on_io([&] { api.backend().info.max_model_len = 400'000; });
  const std::vector<int> ids(300'000, 'a');
  auto a = api.post("/v1/completions", {{"prompt", {ids, ids}}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["param"] == "prompt");
  CHECK_THAT(a.body["error"]["message"].get<std::string>(), Contains("in parts"));
  // One prompt with choices may always be as long as the context.
  api.on_io([&] { api.backend().script = [](FakeBackend& b, RequestId id) { b.finish(id, LegEnd::length); }; });
  CHECK(api.post("/v1/completions", {{"prompt", ids}, {"n", 3}}).status == 200);
  a = api.post("/v1/completions", {{"prompt", ids}, {"echo", true}, {"stream", true}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["param"] == "echo");
  a = api.post("/v1/completions", {{"prompt", ids}, {"echo", true}, {"n", 2}});
  REQUIRE(a.status == 200);
  CHECK(a.body["choices"][1]["text"].get<std::string>() == std::string(300'000, 'a'));
}

TEST_CASE("a prompt that cannot fit is refused by its length, before it is encoded") {
  Api api;
  auto a = api.post("/v1/completions", {{"prompt", std::string(300, 'x')}});
  CHECK_THAT(a.body["error"]["message"].get<std::string>(), Contains("at least 300 tokens"));
  CHECK(a.body["error"]["param"] == "prompt");
  a = api.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", std::string(300, 'x')}}}}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["code"] == "context_length_exceeded");
  CHECK_THAT(a.body["error"]["message"].get<std::string>(), Contains("at least"));
  CHECK(a.body["error"]["param"] == "messages");
  // Whoever only asks for tokens gets them, whatever the context.
  CHECK(api.post("/tokenize", {{"prompt", std::string(300, 'x')}}).body["count"] == 301);
}

TEST_CASE("tokenize, detokenize, models, health, version, metrics") {
  Api api;
  auto a = api.post("/tokenize", {{"prompt", "ab"}, {"return_token_strs", true}});
  CHECK(a.body ==
        json{{"count", 3}, {"max_model_len", 256}, {"tokens", {256, 97, 98}}, {"token_strs", {"<s>", "a", "b"}}});
  a = api.post("/tokenize", {{"messages", {{{"role", "user"}, {"content", "x"}}}}});
  CHECK(a.body["count"] == 17);
  CHECK(api.post("/detokenize", {{"tokens", {97, 98}}}).body["prompt"] == "ab");
  CHECK(api.post("/detokenize", {{"tokens", {9999}}}).status == 400);
  CHECK(api.get("/v1/models").body["data"][0]["id"] == "fake");
  CHECK(api.get("/v1/models/other%2Fname").body["id"] == "other/name");
  CHECK(api.get("/v1/models/nope").status == 404);
  CHECK(api.get("/v1/models").body["data"][0]["max_model_len"] == 256);
  api.on_io([&] { return api.backend().largest = 100; });
  CHECK(api.get("/v1/models").body["data"][0]["max_model_len"] == 100);
  CHECK(api.get("/v1/models/fake").body["max_model_len"] == 100);
  CHECK(api.post("/tokenize", {{"prompt", "ab"}}).body["max_model_len"] == 100);
  CHECK(api.get("/health").body["status"] == "ok");
  api.on_io([&] { api.backend().health_now = {false, "no decode node", {{"nodes", 1}}}; });
  a = api.get("/health");
  CHECK(a.status == 503);
  CHECK(a.body["reason"] == "no decode node");
  CHECK(a.body["nodes"] == 1);
  CHECK(api.get("/version").body["version"] == SLUICE_VERSION);
  a = api.get("/metrics");
  CHECK(a.body == "sluice_fake 1\n");
  CHECK_THAT(a.head, Contains("text/plain; version=0.0.4"));
}

}  // namespace
}  // namespace sluice::test
