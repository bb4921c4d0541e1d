#include "common/json/nearest.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace sluice;

TEST_CASE("the nearest name is the one that was most likely meant") {
  const std::vector<std::string_view> known{"temperature", "top_k", "top_p", "seed"};
  CHECK(nearest_name("temprature", known) == "temperature");
  CHECK(nearest_name("sede", known) == "seed");  // neighbours swapped: one edit
  CHECK(nearest_name("top_q", known) == "top_k");
  CHECK(nearest_name("humidity", known).empty());
  CHECK(nearest_name("", known).empty());
  CHECK(nearest_name(std::string(100'000, 'x'), known).empty());
  CHECK(nearest_name("seed", {}).empty());
}
