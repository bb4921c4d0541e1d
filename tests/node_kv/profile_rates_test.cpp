#include "node/kv/profile_rates.h"

#include <catch2/catch.hpp>

using namespace sluice::node;

TEST_CASE("a profile has a rate once enough went under it") {
  constexpr std::uint64_t kMiB = 1U << 20;
  ProfileRates rates;
  rates.add("q8", kMiB / 2, kMiB / 4, 0.5);
  CHECK(rates.get().empty());
  rates.add("q8", 2 * kMiB, kMiB, 2);
  rates.add("raw", 4 * kMiB, 4 * kMiB, 1);
  const auto got = rates.get();
  REQUIRE(got.size() == 2);
  CHECK(got.at("q8").bps == Approx(kMiB));
  CHECK(got.at("q8").ratio == Approx(2));
  CHECK(got.at("raw").bps == Approx(4.0 * kMiB));
}

TEST_CASE("what took no time or sent nothing teaches nothing") {
  ProfileRates rates;
  rates.add("raw", 0, 0, 1);
  rates.add("raw", 1U << 30, 0, 0);
  CHECK(rates.get().empty());
}
