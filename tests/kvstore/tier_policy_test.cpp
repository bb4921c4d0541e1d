// What a store learns of a tier: how fast it is, and whether it is to be left alone.
#include <catch2/catch.hpp>

#include "kvstore/tier_pause.h"
#include "kvstore/tier_speed.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace std::chrono_literals;

TEST_CASE("speed: latency and bytes per second are told apart") {
  TierSpeed speed(1, 1);
  TimePoint now{};
  for (int i = 0; i < 60; ++i) {
    const double bytes = 1e5 * (1 + i % 7);
    speed.observe(bytes, 0.002 + bytes / 4e8, now += 1ms);
  }
  CHECK(speed.latency_s() == Approx(0.002).epsilon(0.02));
  CHECK(speed.bytes_per_s() == Approx(4e8).epsilon(0.02));
  CHECK(speed.predict(1e6, now) == Approx(0.0045).epsilon(0.02));
}

TEST_CASE("speed: reads that are all alike still foretell such reads") {
  TierSpeed speed(0.001, 1e9);
  TimePoint now{};
  for (int i = 0; i < 50; ++i) speed.observe(1e6, 0.01, now += 1ms);
  CHECK(speed.predict(1e6, now) == Approx(0.01).epsilon(0.01));
  CHECK(speed.latency_s() <= 0.0051);
}

TEST_CASE("speed: what was learned is learned anew") {
  TierSpeed speed(0.001, 1e9);
  TimePoint now{};
  for (int i = 0; i < 50; ++i) speed.observe(1e6, 1.0, now += 1ms);
  CHECK(speed.predict(1e6, now) > 0.9);
  for (int i = 0; i < 50; ++i) speed.observe(1e6, 0.01, now += 1ms);
  CHECK(speed.predict(1e6, now) < 0.02);
}

TEST_CASE("speed: a tier that was slow is thought faster the longer nobody asked it") {
  TierSpeed slow(0.001, 1e9);
  TimePoint now{};
  slow.observe(1e6, 1.0, now);
  const double then = slow.predict(1e6, now);
  CHECK(slow.predict(1e6, now + 60s) == Approx(then / 2));
  CHECK(slow.predict(1e6, now + 600s) == Approx(then / 1024));
}

TEST_CASE("speed: no reads at all give no nonsense") {
  TierSpeed speed(0.001, 1e9);
  TimePoint now{};
  for (int i = 0; i < 10; ++i) speed.observe(0, 0, now);
  CHECK(speed.predict(0, now) > 0);
  for (int i = 0; i < 10; ++i) speed.observe(i % 2 * 1e6, 0.01 * (1 - i % 2), now);  // the larger the faster
  CHECK(speed.latency_s() > 0);
  CHECK(speed.bytes_per_s() > 0);
}

TEST_CASE("pause: a tier that fails is left alone, longer each time, and trusted again once it works") {
  TierPause pause(100ms);
  TimePoint now{};
  now += 1h;
  CHECK(pause.open(now));
  pause.failed(Errc::unavailable, now);
  CHECK_FALSE(pause.open(now + 99ms));
  now += 100ms;
  CHECK(pause.open(now));
  pause.failed(Errc::unavailable, now);
  CHECK_FALSE(pause.open(now + 199ms));
  CHECK(pause.open(now + 200ms));
  for (int i = 0; i < 20; ++i) pause.failed(Errc::unavailable, now);
  CHECK_FALSE(pause.open(now + 29s));
  CHECK(pause.open(now + 30s));
  pause.worked();
  CHECK(pause.open(now));
  pause.failed(Errc::internal, now);
  CHECK(pause.open(now + 100ms));
}

TEST_CASE("pause: one late answer is the caller's hurry, two are the tier's illness") {
  TierPause pause(100ms);
  const TimePoint now = TimePoint{} + 1h;
  pause.failed(Errc::deadline_exceeded, now);
  CHECK(pause.open(now));
  pause.worked();
  pause.failed(Errc::deadline_exceeded, now);
  CHECK(pause.open(now));
  pause.failed(Errc::deadline_exceeded, now);
  CHECK_FALSE(pause.open(now));
}
