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
