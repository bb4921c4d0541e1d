// Budgets of API keys, seen by a client of the API.
#include <sys/stat.h>

#include "coordinator/tenants/tenants.h"
#include "tests/coordinator_api/api_fixture.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {
namespace {

using Catch::Contains;

std::string key_file(const TempDir& dir, const KeyLimits& limits) {
  ApiKey k;
  k.key_id = "acme-1";
  k.tenant = "acme";
  k.admin = false;
  k.limits = limits;
  dir.write("keys", key_line(k, "secret") + "\n");
  ::chmod((dir / "keys").c_str(), 0600);
  return (dir / "keys").string();
}

/// The API with one key, whose budgets a clock of the test's fills.
struct Keyed {
  explicit Keyed(const KeyLimits& limits) : tenants({.file = key_file(dir, limits)}, clock, metrics), api(&tenants) {}
  Answer complete(int max_tokens) {
    return api.post("/v1/completions", {{"prompt", "abc"}, {"max_tokens", max_tokens}},
                    "Authorization: Bearer secret\r\n");
  }
  TempDir dir;
  ManualClock clock;
  Metrics metrics;
  Tenants tenants;
  Api api;
};

TEST_CASE("answers say what is left, and a spent budget is 429 until it has filled again") {
  Keyed k({.requests_per_minute = 2});
  CHECK_THAT(k.complete(4).head, Contains("HTTP/1.1 200") && Contains("x-ratelimit-remaining-requests: 1\r\n"));
  CHECK(k.complete(4).status == 200);
  const Answer refused = k.complete(4);
  CHECK(refused.status == 429);
  CHECK(refused.body["error"]["code"] == "rate_limit_exceeded");
  CHECK_THAT(refused.head, Contains("retry-after: 30\r\n") && Contains("x-ratelimit-remaining-requests: 0\r\n"));
  k.api.on_io([&] { k.clock.advance(30s); });
  CHECK(k.complete(4).status == 200);
}

TEST_CASE("a request that may cost more than is left is not started") {
  Keyed k({.tokens_per_minute = 50});
  const Answer refused = k.complete(200);
  CHECK(refused.status == 429);
  CHECK(refused.body["error"]["type"] == "tokens");
  CHECK(k.api.on_io([&] { return k.api.backend().legs.empty(); }));
  CHECK(k.complete(4).status == 200);
}

TEST_CASE("the tenant goes along with the request") {
  Keyed k({});
  CHECK(k.complete(4).status == 200);
  CHECK(k.api.on_io([&] { return k.api.backend().legs.begin()->second.spec.tenant; }) == "acme");
}

}  // namespace
}  // namespace sluice::test
