#include "coordinator/policy/estimate.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

constexpr EstimateTuning kTuning{};
TimePoint at(double s) { return TimePoint{std::chrono::seconds(1000)} + from_seconds(s); }

}  // namespace

TEST_CASE("an estimate starts at what was reported and moves to what is measured") {
  Estimate e;
  CHECK_FALSE(e.known());
  e.report(10, kTuning);
  CHECK(e.value() == Approx(10));
  for (int i = 0; i < 40; ++i) e.observe(12, 0.01, at(i * 0.01), kTuning);
  CHECK(e.value() == Approx(12).epsilon(0.02));
  CHECK(e.sd() < 0.1);
}

TEST_CASE("one cold start does not carry an estimate away") {
  // A coordinator predicted 1889 ms for everything after its first request had paid for page faults and connections.
  Estimate e;
  e.report(0.020, kTuning);
  e.observe(1.889, 0.04, at(0), kTuning);
  CHECK(e.value() < 0.030);
  for (int i = 1; i < 6; ++i) e.observe(0.020, 0.04, at(i), kTuning);
  CHECK(e.value() == Approx(0.020).epsilon(0.1));
}

TEST_CASE("one outlier among many is shrugged off, a change is followed at once") {
  Estimate e;
  e.report(1, kTuning);
  for (int i = 0; i < 50; ++i) e.observe(1, 0.01, at(i), kTuning);
  CHECK_FALSE(e.observe(100, 0.01, at(50), kTuning));
  CHECK(e.value() < 1.2);
  for (int i = 51; i < 80; ++i) e.observe(1, 0.01, at(i), kTuning);
  bool changed = false;
  int samples = 0;
  while (!changed && samples < 10) {
    changed = e.observe(0.1, 0.01, at(80 + samples), kTuning);
    ++samples;
  }
  CHECK(changed);
  CHECK(samples <= 3);
  CHECK(e.value() == Approx(0.1).epsilon(0.2));
}

TEST_CASE("a report that repeats itself is no news; one that moves is") {
  Estimate e;
  e.report(4, kTuning);
  for (int i = 0; i < 50; ++i) {
    e.observe(1, 0.01, at(i * 0.1), kTuning);
    e.report(4, kTuning);  // a table that is wrong stays wrong
  }
  CHECK(e.value() == Approx(1).epsilon(0.1));
  e.report(0.5, kTuning);
  CHECK(e.value() < 0.9);
}

TEST_CASE("without samples an estimate goes back to its report and doubts itself") {
  Estimate e;
  e.report(4, kTuning);
  for (int i = 0; i < 30; ++i) e.observe(1, 0.01, at(i), kTuning);
  const float sure = e.sd();
  e.age(at(30 + 10 * kTuning.memory_s), kTuning);
  CHECK(e.value() == Approx(4).epsilon(0.05));
  CHECK(e.sd() > sure);
  CHECK(e.var() <= kTuning.prior_var);
}

TEST_CASE("samples that are no positive numbers are not samples") {
  Estimate e;
  e.report(1, kTuning);
  for (const double v : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    e.observe(v, 0.01, at(0), kTuning);
  CHECK(e.value() == 1);
  CHECK(e.count() == 0);
}
