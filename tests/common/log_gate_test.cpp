#include "common/log_gate.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace std::chrono_literals;

// A cancelled request whose frames were under way once wrote a line for each of them.
TEST_CASE("of a flood one line passes per interval and kind, and says how many did not") {
  const TimePoint t{100s};
  LogGate gate(10s);
  CHECK(gate.pass(1, t) == 0);
  for (int i = 0; i < 500; ++i) CHECK_FALSE(gate.pass(1, t + 1s));
  CHECK(gate.pass(2, t + 1s) == 0);  // another kind
  CHECK(gate.pass(1, t + 10s) == 500);
  CHECK_FALSE(gate.pass(1, t + 19s));
  CHECK(gate.pass(1, t + 1h) == 1);
}
