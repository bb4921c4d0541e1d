// A client that goes away takes its work with it: blocks on both sides are free again within a moment.
#include <signal.h>

#include <catch2/catch.hpp>

#include "tests/support/poll_until.h"
#include "tests/support/raw_client.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// The promise is 1 s; a loaded machine gets more before the test calls it broken, and the time is printed.
void check_freed(const Cluster& c, const char* what) {
  const auto freed = poll_until([&] { return c.idle(); }, 5s);
  REQUIRE(freed);
  std::printf("%s: all blocks free after %lld ms\n", what, static_cast<long long>(freed->count()));
}

}  // namespace

TEST_CASE("a client's disconnect frees blocks on both sides", "[system][fronts]") {
  Cluster c({.prefills = 1, .decodes = 1, .coordinator_flags = {"--lease-ms", "30000"}});
  const auto text = heldout_tokens(c);
  REQUIRE(c.idle());

  // While tokens stream.
  json request{{"prompt", slice(text, 0, 400)}, {"max_tokens", 3600}, {"ignore_eos", true}, {"temperature", 0}};
  double used = 0;
  const Streamed s = stream_completion(c, request, [&](std::size_t chunks) {
    if (chunks < 3) return true;
    used = c.metric("d0", "sluice_kv_blocks_capacity") - c.metric("d0", "sluice_kv_blocks_free");
    return false;
  });
  check_freed(c, "hung up in the stream");
  CHECK_FALSE(s.done);
  CHECK(used > 0);
  CHECK(c.metric("coordinator", "sluice_requests_total", "outcome=\"cancelled\"") == 1);

  // While prompts are computed, and more of them wait: the prefill node is frozen so that all are caught there.
  request = {{"prompt", slice(text, 0, 3500)}, {"max_tokens", 100}, {"stream", true}};
  const std::string body = request.dump();
  const auto port = static_cast<std::uint16_t>(std::stoi(c.http().substr(c.http().rfind(':') + 1)));
  const double before = c.node("p0").at("requests");
  c.signal("p0", SIGSTOP);
  {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::make_unique<RawClient>(port));
      REQUIRE(clients.back()->send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: " +
                                   std::to_string(body.size()) + "\r\n\r\n" + body));
    }
    CHECK(poll_until([&] { return c.node("p0").at("requests") == before + 4; }, 10s));
  }
  c.signal("p0", SIGCONT);
  check_freed(c, "hung up in prefill");
  CHECK(c.metric("coordinator", "sluice_requests_total", "outcome=\"cancelled\"") == 5);

  const json after = complete(c, {{"prompt", "Once more"}, {"max_tokens", 8}, {"ignore_eos", true}});
  CHECK(after["usage"]["completion_tokens"] == 8);
}
