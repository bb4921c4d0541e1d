#include "common/trace/retry.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::trace;
using namespace std::chrono_literals;

TEST_CASE("what OTLP calls retryable is tried again, and nothing else") {
  for (const int status : {429, 502, 503, 504}) CHECK(worth_a_retry(status));
  for (const int status : {200, 301, 400, 401, 404, 408, 413, 415, 500, 501}) CHECK_FALSE(worth_a_retry(status));
}

TEST_CASE("a Retry-After is a number of seconds or a date") {
  const auto now = std::chrono::system_clock::from_time_t(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("7", now) == 7s);
  CHECK(parse_retry_after("0", now) == 0s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now) == 10s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now) == 0s);
  for (const char* bad : {"", "-1", "1.5", "soon", "7 ", "99999999999"}) CHECK_FALSE(parse_retry_after(bad, now));
}

TEST_CASE("waits grow to a bound, are spread, and end") {
  const RetryOptions o{.most_tries = 5, .first = 1s, .longest = 3s};
  CHECK(wait_before(1, {}, 0, o) == 500ms);
  CHECK(wait_before(2, {}, 0, o) == 1s);
  CHECK(wait_before(3, {}, 0, o) == 1500ms);
  CHECK(wait_before(4, {}, 0, o) == 1500ms);
  CHECK(wait_before(1, {}, 0.5, o) == 750ms);
  CHECK(wait_before(1, 2s, 0.9, o) == 2s);
  CHECK(wait_before(1, 600s, 0, o) == 3s);
  CHECK_FALSE(wait_before(5, 1s, 0, o));
}
