#include "coordinator/sim/link.h"

#include <catch2/catch.hpp>

#include "coordinator/sim/workload.h"

using namespace sluice::sim;

TEST_CASE("a transfer takes bytes over rate, step by step") {
  Timeline t;
  CHECK(t.finish(1, 100, 50) == Approx(3));
  t.step(10, 0.5);
  t.step(20, 2);
  CHECK(t.at(9.9) == 1);
  CHECK(t.at(10) == 0.5);
  CHECK(t.at(25) == 2);
  CHECK(t.finish(9, 100, 50) == Approx(9 + 1 + 2));  // one second at 50, then at 25
  CHECK(t.finish(18, 150, 50) == Approx(20 + 1));    // 50 bytes until the rate rises, 100 after
  CHECK(t.finish(0, 1e4, 1) > 1000);
}

TEST_CASE("steps may come in any order, and a rate of nothing still ends") {
  Timeline t;
  t.step(20, 1);
  t.step(10, 0);
  CHECK(t.at(15) > 0);
  CHECK(t.finish(10, 5, 1) == Approx(25).epsilon(0.01));
}

TEST_CASE("loads have their rate and lengths, and are the same for a seed") {
  const LoadSpec spec{.requests = 20000, .rate = 10, .prompt_mean = 2000, .output_mean = 100, .seed = 3};
  const Load a = make_load(spec);
  const Load b = make_load(spec);
  REQUIRE(a.size() == 20000);
  CHECK(a.back().at_s == Approx(2000).epsilon(0.05));
  double prompts = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].prompt_tokens == b[i].prompt_tokens);
    prompts += a[i].prompt_tokens;
  }
  CHECK(prompts / 20000 == Approx(2000).epsilon(0.05));
}

TEST_CASE("a bursty load has the same rate and larger gaps") {
  auto variation = [](double burstiness) {
    const Load load = make_load({.requests = 20000, .rate = 10, .burstiness = burstiness, .seed = 5});
    double sum = 0;
    double square = 0;
    for (std::size_t i = 1; i < load.size(); ++i) {
      const double gap = load[i].at_s - load[i - 1].at_s;
      sum += gap;
      square += gap * gap;
    }
    const double mean = sum / 19999;
    CHECK(mean == Approx(0.1).epsilon(0.1));
    return std::sqrt(square / 19999 - mean * mean) / mean;
  };
  CHECK(variation(1) == Approx(1).epsilon(0.05));
  CHECK(variation(3) == Approx(3).epsilon(0.15));
}
