#include "common/stall_watch.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("who has work and does not move stands still; who moves, or has none, does not") {
  StallWatch w;
  TimePoint now{};
  const auto look = [&](std::uint64_t turns, bool work) { w.see(turns, work, now += 1s); };
  look(7, true);
  CHECK(w.still() == 0s);  // one look says nothing
  look(7, true);
  look(7, true);
  CHECK(w.still() == 2s);
  look(8, true);
  CHECK(w.still() == 0s);
  look(8, true);
  CHECK(w.still() == 1s);
  look(8, false);
  CHECK(w.still() == 0s);
  for (int i = 0; i < 100; ++i) look(8, false);
  look(8, true);  // hours of idleness are no stall, even when work came a moment ago
  CHECK(w.still() == 1s);
}

TEST_CASE("a long prompt whose parts end is no stall, however long it takes") {
  StallWatch w;
  TimePoint now{};
  for (std::uint64_t chunk = 0; chunk < 1000; ++chunk) {
    w.see(chunk, true, now += 1s);
    w.see(chunk, true, now += 1s);
    CHECK(w.still() <= 1s);
  }
}

TEST_CASE("time in which nobody looked does not count") {
  StallWatch w;
  TimePoint now{};
  w.see(1, true, now);
  w.see(1, true, now += 1h);  // the process was stopped, and its engine with it
  CHECK(w.still() == StallWatch::kLongestLook);
}
