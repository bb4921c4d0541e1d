// A node that dies takes no answer with it: legs are placed again, prompts computed again under the same profile, sent
// tokens replayed; the client reads one undisturbed text.
#include <signal.h>

#include <catch2/catch.hpp>
#include <future>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

std::string decode_of_the_only_leg(const Cluster& c) {
  for (const char* d : {"d0", "d1"})
    if (c.node(d).at("seqs") == 1) return d;
  return {};
}

}  // namespace

TEST_CASE("a decode node dies in mid-stream: the answer goes on, token for token", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  const auto text = heldout_tokens(c);
  for (const char* profile : {"raw", "h4"}) {
    for (const double temperature : {0.0, 0.8}) {
      CAPTURE(profile, temperature);
      const json request{{"prompt", slice(text, 500, 600)}, {"max_tokens", 3000}, {"ignore_eos", true},
                         {"temperature", temperature},      {"seed", 11},         {"sluice", {{"profile", profile}}}};
      const Streamed undisturbed = stream_completion(c, request);
      REQUIRE(undisturbed.done);
      REQUIRE(undisturbed.usage["completion_tokens"] == 3000);

      std::string victim;
      const Streamed s = stream_completion(c, request, [&](std::size_t chunks) {
        if (chunks < 5 || !victim.empty()) return true;
        victim = decode_of_the_only_leg(c);
        if (!victim.empty()) c.kill(victim);
        return true;
      });
      CAPTURE(s.error.dump(), s.explain.dump());
      REQUIRE_FALSE(victim.empty());
      REQUIRE(s.done);
      CHECK(s.explain.value("resumes", 0) >= 1);
      CHECK(s.explain["decode_node"] != victim);
      CHECK(s.explain["profile"] == profile);
      CHECK(s.usage["total_tokens"] == undisturbed.usage["total_tokens"]);
      CHECK(s.finish_reason == "length");
      const bool same = s.text == undisturbed.text;
      CHECK(same);
      c.restart(victim);
    }
  }
  CHECK(c.metric("coordinator", "sluice_resumes_total") >= 4);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("a prefill node dies in mid-prefill: the other one takes its prompts", "[system]") {
  Cluster c({.prefills = 2, .decodes = 1});
  const auto text = heldout_tokens(c);
  std::vector<json> requests;
  for (std::size_t i = 0; i < 8; ++i)
    requests.push_back({{"prompt", slice(text, 3000 * i, 3000)},
                        {"max_tokens", 20},
                        {"ignore_eos", true},
                        {"temperature", 0},
                        {"sluice", {{"profile", i % 2 == 0 ? "raw" : "q8"}, {"explain", true}}}});
  const auto want = complete_all(c, requests, 1);

  const double before = c.node("p0").at("requests");
  c.signal("p0", SIGSTOP);  // what it is given now, it cannot finish
  auto all = std::async(std::launch::async, [&] { return complete_all(c, requests, 8); });
  const auto given = poll_until([&] { return c.node("p0").at("requests") > before; }, 5s);
  c.kill("p0");
  const auto got = all.get();
  REQUIRE(given);
  int resumed = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i, got[i]["sluice"].dump());
    CHECK(got[i]["choices"] == want[i]["choices"]);
    resumed += got[i]["sluice"].value("resumes", 0);
  }
  CHECK(resumed >= 1);
  CHECK(c.metric("coordinator", "sluice_resumes_total") == resumed);

  c.restart("p0");
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}
