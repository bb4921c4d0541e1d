// The routes that show prompts and generate nothing; cut prompts; and routes of others that are known by name.
#include <catch2/catch.hpp>

#include "tests/coordinator_api/api_fixture.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using Catch::Contains;

TEST_CASE("a chat is rendered as it would be generated from, and no leg is started") {
  Api api;
  const json chat = {{"messages", {{{"role", "user"}, {"content", "hi"}}}},
                     {"max_tokens", 7},
                     {"stop", "x"},
                     {"cache_salt", "s"},
                     {"stream", true}};
  auto a = api.post("/v1/chat/completions/render", chat, "x-request-id: r1\r\n");
  REQUIRE(a.status == 200);
  CHECK(a.body["prompt_text"] == "user:hi\nassistant:");
  CHECK(a.body["token_ids"].size() == 18);
  CHECK(a.body["token_ids"][0] == 'u');
  CHECK(a.body["request_id"] == "chatcmpl-r1");
  CHECK(a.body["model"] == "fake");
  CHECK(a.body["stream"] == true);
  CHECK(a.body["cache_salt"] == "s");
  CHECK(a.body["sampling_params"]["max_tokens"] == 7);
  CHECK(a.body["sampling_params"]["stop"] == json{"x"});
  CHECK(a.body["sampling_params"]["seed"].is_null());
  CHECK(api.on_io([&] { return api.backend().legs.empty(); }));
  json bad = chat;
  bad["temperature"] = -1;
  CHECK(api.post("/v1/chat/completions/render", bad).body["error"]["param"] == "temperature");
}

TEST_CASE("a rendered request shows what binds its answer") {
  Api api;
  json chat = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  const auto bound = [&](const json& more) {
    json body = chat;
    body.update(more);
    const auto a = api.post("/v1/chat/completions/render", body);
    REQUIRE(a.status == 200);
    return a.body["sampling_params"]["structured_outputs"];
  };
  CHECK(bound(json::object()).is_null());
  CHECK_THAT(bound({{"guided_choice", {"yes", "no"}}})["grammar"].get<std::string>(), Contains("\"yes\""));
  json many = json::array();
  for (int i = 0; i < 4000; ++i) many.push_back("choice number " + std::to_string(i));
  const json large = bound({{"guided_choice", many}});
  CHECK_FALSE(large.contains("grammar"));
  CHECK(large["grammar_bytes"] > 64'000);
}

TEST_CASE("completions are rendered as a list, texts and ids alike") {
  Api api;
  auto a = api.post("/v1/completions/render", {{"prompt", {"ab", "c"}}, {"n", 2}});
  REQUIRE(a.status == 200);
  REQUIRE(a.body.size() == 2);
  CHECK(a.body[0]["token_ids"] == json{256, 97, 98});
  CHECK(a.body[0]["prompt_text"] == "ab");
  CHECK(a.body[1]["token_ids"] == json{256, 99});
  CHECK(a.body[1]["sampling_params"]["max_tokens"] == 16);
  a = api.post("/v1/completions/render", {{"prompt", {97, 98}}});
  CHECK(a.body[0]["prompt_text"] == "ab");
  CHECK(a.body[0]["token_ids"] == json{97, 98});
}

TEST_CASE("a prompt is cut to what its client asks for, in each API") {
  Api api;
  const auto ids = [&](const json& more) {
    json body = {{"prompt", "abcdef"}};
    body.update(more);
    auto a = api.post("/v1/completions/render", body);
    REQUIRE(a.status == 200);
    return a.body[0]["token_ids"];
  };
  CHECK(ids({{"truncate_prompt_tokens", 3}}) == json{256, 'e', 'f'});
  CHECK(ids({{"truncate_prompt_tokens", 3}, {"truncation_side", "right"}}) == json{256, 'a', 'b'});
  CHECK(ids({{"truncate_prompt_tokens", 3}, {"add_special_tokens", false}}) == json{'d', 'e', 'f'});
  CHECK(ids({{"truncate_prompt_tokens", 100}}) == json{256, 'a', 'b', 'c', 'd', 'e', 'f'});
  // Longer than the context: what leaves room for the answer stays.
  CHECK(ids({{"prompt", std::string(900, 'x')}, {"truncate_prompt_tokens", -1}, {"max_tokens", 56}}).size() == 200);
  CHECK(ids({{"prompt", std::string(900, 'x')}, {"truncate_prompt_tokens", -1}}).size() == 240);
  CHECK(ids({{"prompt", std::vector<int>(900, 97)}, {"truncate_prompt_tokens", 5}}).size() == 5);
  auto a = api.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", std::string(900, 'x')}}}},
                                             {"truncate_prompt_tokens", 13}});
  REQUIRE(a.status == 200);
  CHECK(a.body["usage"]["prompt_tokens"] == 13);
  CHECK(a.body["choices"][0]["message"]["content"] == "xx\nassistant:");
  // What is echoed is what was read.
  a = api.post("/v1/completions", {{"prompt", "abcdef"},
                                   {"truncate_prompt_tokens", 2},
                                   {"add_special_tokens", false},
                                   {"echo", true},
                                   {"max_tokens", 1}});
  CHECK(a.body["choices"][0]["text"].get<std::string>().starts_with("ef"));
  a = api.post("/tokenize", {{"prompt", "abcdef"}, {"truncate_prompt_tokens", 3}});
  CHECK(a.body["tokens"] == json{256, 'e', 'f'});
  CHECK(api.post("/tokenize", {{"prompt", std::string(900, 'x')}, {"truncate_prompt_tokens", -1}}).body["count"] ==
        256);
  CHECK(api.post("/tokenize", {{"prompt", "a"}, {"documents", json::array()}}).body["error"]["param"] == "documents");
  for (const json& wrong : {json(0), json(-2), json(257), json("3")}) {
    a = api.post("/v1/completions", {{"prompt", "abcdef"}, {"truncate_prompt_tokens", wrong}});
    CHECK(a.status == 400);
    CHECK(a.body["error"]["param"] == "truncate_prompt_tokens");
  }
  a = api.post("/v1/completions", {{"prompt", "abcdef"}, {"truncation_side", "middle"}});
  CHECK(a.body["error"]["param"] == "truncation_side");
}

TEST_CASE("what other servers serve and this one does not is told by name") {
  Api api;
  for (const char* path : {"/v1/embeddings", "/v1/rerank", "/v1/score", "/v1/audio/transcriptions",
                           "/v1/images/generations", "/v1/moderations"}) {
    INFO(path);
    const auto a = api.post(path, json::object());
    CHECK(a.status == 404);
    CHECK(a.body["error"]["code"] == "not_served");
    CHECK_THAT(a.body["error"]["message"].get<std::string>(), Contains("not served here"));
  }
}

}  // namespace
}  // namespace sluice::test
