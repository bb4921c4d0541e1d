#include "coordinator/policy/bayes_linear.h"

#include <catch2/catch.hpp>

#include "coordinator/policy/fast_random.h"

using namespace sluice::coordinator;

TEST_CASE("a fit finds fixed, linear and quadratic parts") {
  FastRandom random(5);
  BayesLinear<3> fit;
  fit.set_prior({0, 1, 0}, {0.1, 1, 0.1});
  for (int i = 0; i < 400; ++i) {
    const double k = random.uniform() * 8;
    const double y = 0.05 + 0.5 * k + 0.02 * k * k;
    fit.observe({1, k, k * k}, y * (1 + 0.01 * random.normal()), 1e-4 * y * y + 1e-8, 1.0);
  }
  CHECK(fit.predict({1, 4, 16}) == Approx(0.05 + 2 + 0.32).epsilon(0.02));
  CHECK(fit.predict({1, 0, 0}) == Approx(0.05).epsilon(0.1));
}

TEST_CASE("a fit grows surer with samples and forgets after a change") {
  BayesLinear<2> fit;
  fit.set_prior({1, 0}, {1, 1});
  const double before = fit.variance({1, 0.5});
  for (int i = 0; i < 50; ++i) fit.observe({1, 0.5}, 2, 0.01, 0.99);
  CHECK(fit.variance({1, 0.5}) < 0.05 * before);
  bool changed = false;
  for (int i = 0; i < 4; ++i) changed |= fit.observe({1, 0.5}, 10, 0.01, 0.99);
  CHECK(changed);
  CHECK(fit.predict({1, 0.5}) == Approx(10).epsilon(0.05));
}

TEST_CASE("noise that goes one way moves a clipped fit to the median") {
  FastRandom random(3);
  BayesLinear<1> whole;
  BayesLinear<1> clipped;
  whole.set_prior({0}, {1});
  clipped.set_prior({0}, {1});
  double wholes = 0;
  double clippeds = 0;
  for (int i = 0; i < 1000; ++i) {
    const double y = random.uniform() < 0.3 ? 2 : 1;
    whole.settle({1}, y, 0.2, 0.99, 3);
    clipped.settle({1}, y, 0.2, 0.99, 0.1);
    wholes += 1e-3 * whole.predict({1});
    clippeds += 1e-3 * clipped.predict({1});
  }
  CHECK(wholes == Approx(1.3).margin(0.05));
  CHECK(clippeds < 1.15);
}

TEST_CASE("a clipped fit still follows a change to where it went") {
  BayesLinear<1> fit;
  fit.set_prior({0}, {1});
  for (int i = 0; i < 100; ++i) fit.observe({1}, 1, 0.01, 0.99, 0.1);
  bool changed = false;
  for (int i = 0; i < 4; ++i) changed |= fit.observe({1}, 10, 0.01, 0.99, 0.1);
  CHECK(changed);
  CHECK(fit.predict({1}) == Approx(10).epsilon(0.05));
}

TEST_CASE("discounting never makes a fit less sure than its prior") {
  BayesLinear<2> fit;
  fit.set_prior({0, 0}, {1, 2});
  for (int i = 0; i < 10000; ++i) fit.observe({1, 0}, 0, 0.1, 0.9);
  CHECK(fit.weight_sd(1) <= 2.0 * (1 + 1e-6));
  CHECK(fit.variance({0, 1}) == Approx(4));
}

TEST_CASE("draws have the posterior's mean and spread") {
  BayesLinear<2> fit;
  fit.set_prior({1, -1}, {0.5, 2});
  fit.observe({1, 1}, 1, 0.1, 1.0);  // correlates the two
  FastRandom random(9);
  const std::array<double, 2> x{1, 0.3};
  double sum = 0;
  double square = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const auto w = fit.sample({random.normal(), random.normal()});
    const double y = w[0] * x[0] + w[1] * x[1];
    sum += y;
    square += y * y;
  }
  const double mean = sum / kDraws;
  CHECK(mean == Approx(fit.predict(x)).margin(0.02));
  CHECK(square / kDraws - mean * mean == Approx(fit.variance(x)).epsilon(0.05));
}
