// Prompts that begin alike, on real nodes: what a prefill node had already changes no token, crosses to nobody whom it
// does not belong to, and is in nobody's way.
#include <catch2/catch.hpp>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

json asking(const json& prompt, const std::string& profile, const json& more = json::object()) {
  json r{{"prompt", prompt},
         {"max_tokens", 12},
         {"ignore_eos", true},
         {"temperature", 0.8},
         {"seed", 5},
         {"logprobs", 3},
         {"sluice", {{"explain", true}, {"mode", "split"}, {"profile", profile}}}};
  r.update(more);
  return r;
}

int cached(const json& answer) { return answer["usage"]["prompt_tokens_details"]["cached_tokens"]; }

/// `first` tokens from the text's beginning, and `rest` from `at`.
json joined(const std::vector<int>& text, std::size_t first, std::size_t at, std::size_t rest) {
  json p = slice(text, 0, first);
  for (const json& t : slice(text, at, rest)) p.push_back(t);
  return p;
}

}  // namespace

TEST_CASE("a prompt that begins as others did has the tokens of a cold run, under every kind of profile", "[system]") {
  std::vector<std::vector<json>> answers;
  for (const char* cache : {"off", "on"}) {
    Cluster c({.prefills = 1, .decodes = 1, .prefill_flags = {"--prefix-cache", cache}});
    const auto text = heldout_tokens(c);
    auto& got = answers.emplace_back();
    for (const char* profile : {"ll", "q8", "k6v4", "h4", "mix9r", "c9r"}) {
      // The whole again, its beginning within and at a column, and a longer one.
      for (const json& prompt : {slice(text, 0, 1500), slice(text, 0, 1500), joined(text, 700, 9000, 600),
                                 joined(text, 1024, 7000, 100), slice(text, 0, 2300), slice(text, 0, 2300)})
        got.push_back(complete(c, asking(prompt, profile)));
      const auto beside =
          complete_all(c,
                       {asking(joined(text, 600, 3000, 900), profile), asking(joined(text, 40, 8000, 90), profile),
                        asking(joined(text, 1500, 5000, 300), profile)},
                       3);
      got.insert(got.end(), beside.begin(), beside.end());
    }
    CHECK(poll_until([&] { return c.idle(); }, 5s));
    CHECK((c.metric("p0", "sluice_prefix_cache_hits_tokens_total") > 0) == (std::string(cache) == "on"));
  }
  REQUIRE(answers[0].size() == answers[1].size());
  for (std::size_t i = 0; i < answers[0].size(); ++i) {
    CAPTURE(i, answers[1][i]["sluice"].dump());
    CHECK(answers[1][i]["choices"] == answers[0][i]["choices"]);
    CHECK(answers[1][i]["system_fingerprint"] == answers[0][i]["system_fingerprint"]);
    CHECK(cached(answers[0][i]) == 0);
  }
  CHECK(cached(answers[1][0]) == 0);
  CHECK(cached(answers[1][1]) == 1488);  // 1,499 positions: all full blocks
  CHECK(cached(answers[1][2]) == 688);
  CHECK(cached(answers[1][3]) == 1024);
  CHECK(cached(answers[1][4]) >= 1488);
}

TEST_CASE("two salts share nothing, nor one and none, and a salt is no empty string", "[system]") {
  Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  const json prompt = slice(text, 0, 600);
  CHECK(cached(complete(c, asking(prompt, "raw"))) == 0);
  CHECK(cached(complete(c, asking(prompt, "raw", {{"cache_salt", "mine"}}))) == 0);
  CHECK(cached(complete(c, asking(prompt, "raw", {{"cache_salt", "yours"}}))) == 0);
  CHECK(cached(complete(c, asking(prompt, "raw", {{"cache_salt", "mine"}}))) == 592);
  CHECK(cached(complete(c, asking(prompt, "raw"))) == 592);
  const Answer refused = post(c, "/v1/completions", asking(prompt, "raw", {{"cache_salt", ""}}));
  CHECK(refused.status == 400);
  CHECK(refused.body["error"]["param"] == "cache_salt");
}

TEST_CASE("a conversation that grows computes its new tokens alone", "[system]") {
  Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  for (std::size_t turn = 1; turn <= 5; ++turn) {
    const json answer = complete(c, asking(slice(text, 0, 300 * turn), "raw"));
    CAPTURE(turn);
    CHECK(cached(answer) == static_cast<int>(turn == 1 ? 0 : (300 * (turn - 1) - 1) / 16 * 16));
  }
  CHECK(c.metric("coordinator", "vllm:prefix_cache_hits_total") ==
        c.metric("p0", "sluice_prefix_cache_hits_tokens_total"));
}

TEST_CASE("a memory smaller than what is cached: prompts side by side get theirs, and all blocks are free at the end",
          "[system]") {
  Cluster c({.prefills = 1, .decodes = 2, .kv_memory_mib = 12});
  const auto text = heldout_tokens(c);
  std::vector<json> requests;
  for (std::size_t i = 0; i < 40; ++i)
    requests.push_back(
        asking(joined(text, 200 + 16 * (i % 3), 500 * (i % 20), 300 + 50 * (i % 7)), i % 2 == 0 ? "ll" : "h4"));
  const auto alone = complete_all(c, requests, 1);
  const auto crowded = complete_all(c, requests, 8);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    CAPTURE(i);
    CHECK(crowded[i]["choices"] == alone[i]["choices"]);
  }
  CHECK(c.metric("p0", "sluice_prefix_cache_evicted_blocks_total") > 0);
  CHECK(c.metric("p0", "sluice_prefix_cache_hits_tokens_total") > 0);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("a prompt goes to the node that has its beginning", "[system]") {
  const Cluster c({.prefills = 2, .decodes = 1});
  const auto text = heldout_tokens(c);
  double blocks = 0;  // that the nodes keep
  const auto told = [&] { return c.metric("coordinator", "sluice_prefix_index_blocks") >= blocks; };
  for (int i = 0; i < 8; ++i) {
    (void)complete(c, asking(slice(text, 300 * i, 250), "raw"));
    blocks += 15;
  }
  REQUIRE(poll_until(told, 5s));
  for (std::size_t i = 0; i < 6; ++i) {
    const json prompt = slice(text, 4000 + 1500 * i, 1400);
    const json first = complete(c, asking(prompt, "raw"));
    blocks += 87;
    REQUIRE(poll_until(told, 5s));
    const json again = complete(c, asking(prompt, "raw"));
    CAPTURE(i, first["sluice"].dump(), again["sluice"].dump());
    CHECK(again["choices"][0]["text"] == first["choices"][0]["text"]);
    CHECK(again["sluice"]["prefill_node"] == first["sluice"]["prefill_node"]);
    CHECK(again["sluice"]["cached"]["expected_tokens"] == 1392);
    CHECK(cached(again) == 1392);
  }
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}
