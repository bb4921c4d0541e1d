#include "coordinator/ctl/simulate.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ctl;

// It ran uncompressed, under the profile's name.
TEST_CASE("a static policy whose profile is not there is refused with those that are") {
  SimulateOptions o;
  o.policy = "static:nope";
  const auto r = simulate(o);
  REQUIRE_FALSE(r);
  CHECK(r.error().message.find("'nope'") != std::string::npos);
  CHECK(r.error().message.find("raw") != std::string::npos);
}

TEST_CASE("several objectives are for a search") {
  SimulateOptions o;
  o.slo_ttft_ms = {300, 500};
  const auto r = simulate(o);
  REQUIRE_FALSE(r);
  CHECK(r.error().message.find("--search") != std::string::npos);
}

// All but the first were dropped without a word.
TEST_CASE("several kinds of hardware are for a search") {
  SimulateOptions o;
  o.hardware = {"h100", "a100"};
  const auto r = simulate(o);
  REQUIRE_FALSE(r);
  CHECK(r.error().param == "hardware");
  CHECK(r.error().message.find("--search") != std::string::npos);
}
