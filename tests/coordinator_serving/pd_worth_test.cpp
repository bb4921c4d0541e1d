#include "coordinator/serving/pd_worth.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace sluice::coordinator;

TEST_CASE("split and local requests of like length are compared once there are enough of both") {
  PdWorth w;
  CHECK_THAT(w.to_json()["verdict"].get<std::string>(), Catch::Contains("not known yet: 0"));
  for (std::size_t i = 0; i < PdWorth::kEnough; ++i) {
    w.add(true, 1500, 0.1, 0.01);
    w.add(false, 100, 0.01, 0.01);
  }
  CHECK_THAT(w.to_json()["verdict"].get<std::string>(), Catch::Contains("not known yet"));
  for (std::size_t i = 0; i < PdWorth::kEnough; ++i) {
    w.add(false, 1024, 0.2, 0.02);
    w.add(true, 127, 0.02, 0);
  }
  const auto j = w.to_json();
  REQUIRE(j["lengths"].size() == 2);
  CHECK(j["lengths"][0]["from"] == 64);
  CHECK(j["lengths"][1]["split"]["ttft_ms"] == Approx(100));
  CHECK(j["lengths"][1]["local"]["tpot_ms"] == Approx(20));
  CHECK(j["lengths"][1]["local"]["requests"] == PdWorth::kEnough);
  const auto verdict = j["verdict"].get<std::string>();
  CHECK_THAT(verdict, Catch::Contains("64 to 127 tokens: computing them where they are decoded is faster"));
  CHECK_THAT(verdict, Catch::Contains("1024 to 2047 tokens: prefill nodes are worth it"));
}

TEST_CASE("the oldest requests are forgotten") {
  PdWorth w;
  for (std::size_t i = 0; i < 2 * PdWorth::kKept; ++i) w.add(true, 100, i < PdWorth::kKept ? 1 : 2, 0);
  CHECK(w.to_json()["lengths"][0]["split"]["requests"] == PdWorth::kKept);
  CHECK(w.to_json()["lengths"][0]["split"]["ttft_ms"] == Approx(2000));
}
