// Prompts computed where they are decoded, on real nodes: the same tokens, wherever the prompt is cut, and after the
// decode node's death, too.
#include <catch2/catch.hpp>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

json asking(const json& prompt, const json& sluice, int tokens) {
  json s = sluice;
  s["explain"] = true;
  return {{"prompt", prompt}, {"max_tokens", tokens}, {"ignore_eos", true}, {"temperature", 0.8},
          {"seed", 5},        {"logprobs", 3},        {"sluice", s}};
}

}  // namespace

TEST_CASE("the tokens are the same wherever a lossless prompt is cut", "[system]") {
  Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  const auto prompt = slice(text, 200, 1500);
  const std::vector<json> requests{
      asking(prompt, {{"mode", "split"}, {"profile", "ll"}}, 40), asking(prompt, {{"mode", "colocated"}}, 40),
      asking(prompt, {{"cut", 512}, {"profile", "ll"}}, 40), asking(prompt, {{"cut", 1024}, {"profile", "raw"}}, 40)};
  const auto got = complete_all(c, requests, 4);
  for (std::size_t i = 1; i < got.size(); ++i) {
    CAPTURE(i, got[i].dump());
    CHECK(got[i]["choices"] == got[0]["choices"]);
    CHECK(got[i]["system_fingerprint"] == got[0]["system_fingerprint"]);
  }
  CHECK(got[0]["sluice"]["mode"] == "split");
  CHECK(got[0]["sluice"]["cut"] == 1499);
  CHECK(got[1]["sluice"]["mode"] == "colocated");
  CHECK(got[1]["sluice"]["prefill_node"].is_null());
  CHECK(got[1]["sluice"]["local_tokens"] == 1500);
  CHECK(got[1]["sluice"]["local_compute_ms"] > 0);
  CHECK(got[2]["sluice"]["mode"] == "cut");
  CHECK(got[2]["sluice"]["local_tokens"] == 1500 - 512);
  CHECK(got[2]["sluice"]["kv_raw_bytes"].get<double>() * 1499 ==
        Approx(got[0]["sluice"]["kv_raw_bytes"].get<double>() * 512));
  CHECK(c.metric("coordinator", "sluice_local_prompts_total") == 3);
  const Answer wrong = post(c, "/v1/completions", asking(prompt, {{"cut", 500}}, 4));
  CHECK(wrong.status == 400);
  CHECK(wrong.body["error"]["param"] == "sluice.cut");
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("a decode node dies in mid-answer: a cut prompt, and one of its own, go on elsewhere token for token",
          "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  const auto text = heldout_tokens(c);
  for (const json& where : {json{{"mode", "colocated"}}, json{{"cut", 512}, {"profile", "h4"}}}) {
    json request = asking(slice(text, 500, 900), where, 2000);
    request.erase("logprobs");
    CAPTURE(where.dump());
    const Streamed undisturbed = stream_completion(c, request);
    REQUIRE(undisturbed.done);
    std::string victim;
    const Streamed s = stream_completion(c, request, [&](std::size_t chunks) {
      if (chunks < 5 || !victim.empty()) return true;
      for (const char* d : {"d0", "d1"})
        if (c.node(d).at("seqs") == 1) victim = d;
      if (!victim.empty()) c.kill(victim);
      return true;
    });
    REQUIRE_FALSE(victim.empty());
    REQUIRE(s.done);
    CHECK(s.explain.value("resumes", 0) >= 1);
    CHECK(s.explain["cut"] == undisturbed.explain["cut"]);
    const bool same = s.text == undisturbed.text;
    CHECK(same);
    c.restart(victim);
  }
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("where prefill nodes are gone, decode nodes serve alone", "[system]") {
  Cluster c({.prefills = 1, .decodes = 1, .local_prefill = true});
  const auto text = heldout_tokens(c);
  const auto before = complete_all(c, {asking(slice(text, 0, 700), {{"mode", "split"}, {"profile", "raw"}}, 20)}, 1);
  c.kill("p0");
  const auto after = complete_all(c, {asking(slice(text, 0, 700), json::object(), 20)}, 1);
  CHECK(after[0]["choices"] == before[0]["choices"]);
  CHECK(after[0]["sluice"]["mode"] == "colocated");
}
