#include "coordinator/ctl/simulate.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ctl;

// All but the first were dropped without a word.
TEST_CASE("several kinds of hardware are for a search") {
  SimulateOptions o;
  o.hardware = {"h100", "a100"};
  const auto r = simulate(o);
  REQUIRE_FALSE(r);
  CHECK(r.error().param == "hardware");
  CHECK(r.error().message.find("--search") != std::string::npos);
}
