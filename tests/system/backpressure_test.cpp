// A full cluster says so: what can neither run nor wait gets 429 with Retry-After, and is served when it comes again.
#include <signal.h>

#include <catch2/catch.hpp>
#include <future>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

TEST_CASE("KV that cannot be held is refused with 429, and served later", "[system]") {
  constexpr int kAsked = 8;
  constexpr int kMayWait = 2;
  // 10 MiB hold 5,120 tokens: the first request and no second one beside it. The node is frozen while the others
  // come, so that how many are refused does not depend on the machine's speed.
  Cluster c({.kv_memory_mib = 10, .coordinator_flags = {"--max-waiting", "2", "--lease-ms", "30000"}});
  const auto text = heldout_tokens(c);
  const json small{{"prompt", slice(text, 9000, 1500)}, {"max_tokens", 100}, {"ignore_eos", true}};
  const json large{{"prompt", slice(text, 0, 500)}, {"max_tokens", 3500}, {"ignore_eos", true}};

  std::vector<std::future<Answer>> crowd;
  const Streamed first = stream_completion(c, large, [&](std::size_t chunks) {
    if (chunks < 2 || !crowd.empty()) return true;
    c.signal("d0", SIGSTOP);
    for (int i = 0; i < kAsked; ++i)
      crowd.push_back(std::async(std::launch::async, [&] { return post(c, "/v1/completions", small); }));
    const auto settled = poll_until(
        [&] {
          return c.metric("coordinator", "sluice_requests_refused_total") == kAsked - kMayWait &&
                 c.get("/health").at("waiting") == kMayWait;
        },
        10s);
    c.signal("d0", SIGCONT);
    return settled.has_value();
  });
  REQUIRE(first.done);
  CHECK(first.usage["completion_tokens"] == 3500);

  int served = 0;
  int refused = 0;
  for (auto& f : crowd) {
    const Answer a = f.get();
    CAPTURE(a.status, a.body.dump());
    if (a.status == 200) {
      ++served;
      continue;
    }
    ++refused;
    CHECK(a.status == 429);
    REQUIRE(a.headers.contains("retry-after"));
    CHECK(std::stoi(a.headers.at("retry-after")) >= 1);
    CHECK_FALSE(a.body["error"]["message"].get<std::string>().empty());
  }
  CHECK(served == kMayWait);
  CHECK(refused == kAsked - kMayWait);

  for (int i = 0; i < refused; ++i) CHECK(post(c, "/v1/completions", small).status == 200);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("who cannot get room before its own deadline is told so at once", "[system]") {
  Cluster c({.kv_memory_mib = 10, .coordinator_flags = {"--lease-ms", "30000"}});
  const auto text = heldout_tokens(c);
  // What outputs are like must be known: nobody is refused on a guess.
  for (int i = 0; i < 20; ++i)
    (void)complete(c, {{"prompt", slice(text, 100 * i, 60)}, {"max_tokens", 8}, {"ignore_eos", true}});
  // Of 5,120 positions the large one takes so many at once that there is no room for the small one's prompt beside it.
  const json small{{"prompt", slice(text, 9000, 1800)}, {"max_tokens", 100}};
  const json large{{"prompt", slice(text, 0, 3500)}, {"max_tokens", 500}, {"ignore_eos", true}};
  auto hurried = [&] {
    return sluice::http::request({.address = c.http(),
                                  .method = "POST",
                                  .target = "/v1/completions",
                                  .headers = {{"content-type", "application/json"}, {"x-slo-ttft-ms", "60"}},
                                  .body = small.dump(),
                                  .timeout = 30s});
  };

  sluice::http::ClientResponse refused;
  const Streamed first = stream_completion(c, large, [&](std::size_t chunks) {
    if (chunks < 2 || refused.status != 0) return true;
    c.signal("d0", SIGSTOP);  // so that it cannot be through before the other has asked
    refused = hurried().value_or(sluice::http::ClientResponse{.status = -1});
    c.signal("d0", SIGCONT);
    return true;
  });
  REQUIRE(first.done);
  CAPTURE(refused.body);
  REQUIRE(refused.status == 429);
  CHECK(std::stoi(refused.headers.at("retry-after")) >= 1);
  CHECK(refused.body.find("is expected to start in") != std::string::npos);
  CHECK(c.metric("coordinator", "sluice_early_rejections_total", "why=\"room\"") == 1);
  CHECK(complete(c, small)["usage"]["completion_tokens"] > 0);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("a request that no node could ever hold is refused for good", "[system]") {
  const Cluster c({.kv_memory_mib = 4});  // 2,048 tokens
  const auto text = heldout_tokens(c);
  const Answer a = post(c, "/v1/completions", json{{"prompt", slice(text, 0, 1800)}, {"max_tokens", 400}});
  CAPTURE(a.body.dump());
  CHECK(a.status == 400);
  CHECK_FALSE(a.headers.contains("retry-after"));
  CHECK(complete(c, {{"prompt", slice(text, 0, 1800)}, {"max_tokens", 100}, {"ignore_eos", true}})
            .at("usage")
            .at("completion_tokens") == 100);
}
