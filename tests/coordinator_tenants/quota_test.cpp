#include "coordinator/tenants/quota.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;

namespace {
TimePoint at(Duration d) { return TimePoint{} + d; }
}  // namespace

TEST_CASE("requests at a time are counted exactly") {
  Quota q({.concurrent = 2}, at(0s));
  CHECK_FALSE(q.begin(at(0s)));
  CHECK_FALSE(q.begin(at(0s)));
  const auto third = q.begin(at(0s));
  REQUIRE(third);
  CHECK(third->what == Spent::concurrent);
  q.end();
  CHECK_FALSE(q.begin(at(0s)));
  CHECK(q.running() == 2);
}

TEST_CASE("a request refused for requests at a time costs none per minute") {
  Quota q({.requests_per_minute = 2, .concurrent = 1}, at(0s));
  CHECK_FALSE(q.begin(at(0s)));
  CHECK(q.begin(at(0s))->what == Spent::concurrent);
  q.end();
  CHECK_FALSE(q.begin(at(0s)));
  q.end();
  const auto third = q.begin(at(0s));
  REQUIRE(third);
  CHECK(third->what == Spent::requests);
  CHECK(third->retry_after == 30s);
}

TEST_CASE("tokens are charged by what they may be, and settled by what they were") {
  Quota q({.tokens_per_minute = 600}, at(0s));
  CHECK_FALSE(q.charge(500, at(0s)));
  const auto refused = q.charge(200, at(0s));
  REQUIRE(refused);
  CHECK(refused->what == Spent::tokens);
  CHECK(refused->retry_after == 10s);
  q.settle(500, 100, at(0s));
  CHECK_FALSE(q.charge(500, at(0s)));
  CHECK(q.charge(1, at(0s)));
  const auto never = q.charge(601, at(0s));
  REQUIRE(never);
  CHECK_FALSE(never->retry_after);  // no minute has as many
  CHECK(rate_limit_error(*never, "k").message.find("fewer max_tokens") != std::string::npos);
}

TEST_CASE("headers say what is left, in OpenAI's form") {
  Quota q({.requests_per_minute = 60, .tokens_per_minute = 6000}, at(0s));
  CHECK_FALSE(q.begin(at(0s)));
  CHECK_FALSE(q.charge(1000, at(0s)));
  const auto h = q.headers(at(0s));
  CHECK(h.find("x-ratelimit-limit-requests") == "60");
  CHECK(h.find("x-ratelimit-remaining-requests") == "59");
  CHECK(h.find("x-ratelimit-reset-requests") == "1s");
  CHECK(h.find("x-ratelimit-limit-tokens") == "6000");
  CHECK(h.find("x-ratelimit-remaining-tokens") == "5000");
  CHECK(h.find("x-ratelimit-reset-tokens") == "10s");
  CHECK_FALSE(Quota({}, at(0s)).headers(at(0s)).find("x-ratelimit-limit-requests"));
  CHECK(reset_text(20ms) == "20ms");
  CHECK(reset_text(1500ms) == "1.5s");
  CHECK(reset_text(6min) == "6m0s");
  CHECK(reset_text(61s) == "1m1s");
}

TEST_CASE("a refusal is 429 with OpenAI's code") {
  const ApiError e = rate_limit_error({Spent::tokens, 10, 5, 3s}, "acme-1");
  CHECK(e.status == 429);
  CHECK(e.code == "rate_limit_exceeded");
  CHECK(e.type == "tokens");
  CHECK(error_response(e).headers.find("retry-after") == "3");
}
