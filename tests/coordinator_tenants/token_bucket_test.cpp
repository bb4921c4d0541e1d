#include "coordinator/tenants/token_bucket.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;

namespace {
TimePoint at(Duration d) { return TimePoint{} + d; }
}  // namespace

TEST_CASE("a bucket holds a minute's worth and fills evenly") {
  TokenBucket b(60, at(0s));
  for (int i = 0; i < 60; ++i) REQUIRE(b.take(1, at(0s)));
  CHECK_FALSE(b.take(1, at(0s)));
  CHECK(b.left(at(0s)) == 0);
  CHECK(b.until(1, at(0s)) == 1s);
  CHECK_FALSE(b.take(1, at(999ms)));
  CHECK(b.take(1, at(1s)));
  CHECK(b.left(at(31s)) == 30);
  CHECK(b.left(at(1h)) == 60);  // no more than a minute's
  CHECK(b.until_full(at(1h)) == 0s);
}

TEST_CASE("what is taken by many small steps is no more than the rate") {
  TokenBucket b(1000, at(0s));
  std::uint64_t taken = 0;
  for (int ms = 0; ms <= 60'000; ms += 7) taken += b.take(1, at(std::chrono::milliseconds(ms))) ? 1 : 0;
  CHECK(taken >= 1998);
  CHECK(taken <= 2000);
}

TEST_CASE("a bucket takes all or nothing, takes back, and may owe") {
  TokenBucket b(100, at(0s));
  CHECK_FALSE(b.take(101, at(0s)));
  CHECK(b.left(at(0s)) == 100);
  CHECK(b.take(80, at(0s)));
  b.give_back(50, at(0s));
  CHECK(b.left(at(0s)) == 70);
  b.give_back(1000, at(0s));
  CHECK(b.left(at(0s)) == 100);
  b.owe(160, at(0s));
  CHECK(b.left(at(0s)) == 0);
  CHECK(b.until(40, at(0s)) == 60s);
}

TEST_CASE("another rate keeps what was used") {
  TokenBucket b(100, at(0s));
  CHECK(b.take(90, at(0s)));
  b.set_rate(1000, at(0s));
  CHECK(b.left(at(0s)) == 10);
  b.set_rate(5, at(0s));
  CHECK(b.left(at(0s)) == 5);
}
