#include "coordinator/ctl/doctor/perftest.h"

#include <catch2/catch.hpp>

using namespace sluice::ctl::doctor;

TEST_CASE("the figures of ucx_perftest's final line") {
  const auto line = parse_perftest(
      "+-----+\n|  Test | # iterations | 50.0%ile | average |\n"
      "                       20000      6.655    56.820    57.153     1099.97    1093.56       17600       17497\n");
  REQUIRE(line);
  CHECK(line->typical_us == 6.655);
  CHECK(line->mib_per_s == 1093.56);
  CHECK_FALSE(parse_perftest(""));
  CHECK_FALSE(parse_perftest("error: 1 2 3"));
}
