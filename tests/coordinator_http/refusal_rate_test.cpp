#include "coordinator/http/refusal_rate.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;

TEST_CASE("of each route and code the first five of a second have a line; the others are counted") {
  RefusalRate r;
  const TimePoint t0{};
  int lines = 0;
  for (int i = 0; i < 100; ++i) lines += r.admit("-", "unknown_path", t0 + i * 1ms) ? 1 : 0;
  CHECK(lines == 5);
  CHECK(r.admit("-", "malformed_http", t0));
  CHECK(r.admit("/v1/models", "unknown_path", t0));
  CHECK(r.over(t0 + 500ms).empty());
  const auto over = r.over(t0 + 1s);
  REQUIRE(over.size() == 1);
  CHECK(over[0].route == "-");
  CHECK(over[0].code == "unknown_path");
  CHECK(over[0].count == 95);
  CHECK(r.empty());
  CHECK(r.admit("-", "unknown_path", t0 + 1s));
}

TEST_CASE("a second that left nothing out is followed by the next of its own") {
  RefusalRate r;
  const TimePoint t0{};
  for (int i = 0; i < 5; ++i) CHECK(r.admit("/a", "x", t0));
  for (int i = 0; i < 5; ++i) CHECK(r.admit("/a", "x", t0 + 1s));
  CHECK_FALSE(r.admit("/a", "x", t0 + 1s));
  // One that did is not over before it was told of.
  CHECK_FALSE(r.admit("/a", "x", t0 + 3s));
  CHECK(r.over(t0 + 3s).at(0).count == 2);
}
