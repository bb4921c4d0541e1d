// When a transfer changes its profile, and when it must not.
#include "common/transfer/tightening.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

using namespace sluice;

namespace {

constexpr double kGb = 1e9 / 8;

/// A gigabyte is left, planned at 100 Gb/s; the link does `link_gbps`.
TransferState left(double link_gbps) {
  return {.planned_bps = 100 * kGb, .link_bps = link_gbps * kGb, .raw_left = 1e9};
}

const std::vector<Way> kWays{{0, 1}, {10e9, 2}, {5e9, 4}, {1e9, 8}};

}  // namespace

TEST_CASE("a link that keeps its speed changes nothing, however slow it is", "[tightening]") {
  CHECK(tighten(left(100), kWays) == 0);
  CHECK(tighten(left(60), kWays) == 0);
  TransferState slow = left(2);
  slow.planned_bps = 2 * kGb;
  CHECK(tighten(slow, kWays) == 0);
}

TEST_CASE("a link that gave way: the soonest of the others", "[tightening]") {
  // 2 Gb/s: 4 s uncompressed; 2, 1 and 0.5 s on the wire, and the last needs 1 s to encode, as long as the one before
  CHECK(tighten(left(2), kWays) == 2);
  TransferState t = left(1);
  CHECK(tighten(t, kWays) == 3);
  // A gigabyte of others is ahead: no profile moves it.
  t.ahead_bytes = 100e9;
  CHECK(tighten(t, kWays) == 0);
}

TEST_CASE("the change must be worth it", "[tightening]") {
  TransferState t = left(2);
  t.compute_left_s = 3.5;  // it ends at 3.5 instead of 4 s, whatever is done
  CHECK(tighten(t, kWays) == 0);
  t.compute_left_s = 3.1;
  CHECK(tighten(t, kWays) == 1);  // all end with the computation; the first listed
  t = left(2);
  t.raw_left = 2e6;  // 8 ms in all
  CHECK(tighten(t, kWays) == 0);
  t.raw_left = 0;
  CHECK(tighten(t, kWays) == 0);
}

TEST_CASE("what is not known decides nothing", "[tightening]") {
  TransferState t = left(2);
  t.planned_bps = 0;
  CHECK(tighten(t, kWays) == 0);
  t = left(0);
  CHECK(tighten(t, kWays) == 0);
  CHECK(tighten(left(2), {}) == 0);
  CHECK(tighten(left(2), std::vector<Way>{{0, 1}}) == 0);
  CHECK(tighten(left(2), std::vector<Way>{{0, 1}, {0, 8}, {1e9, 0}}) == 0);
  CHECK(tighten(left(2), std::vector<Way>{{0, 1}, {std::nan(""), 8}, {1e9, std::nan("")}}) == 0);
  t = left(2);
  t.link_bps = std::nan("");
  CHECK(tighten(t, kWays) == 0);
}

TEST_CASE("an encoder that is slower than the broken link is no way out", "[tightening]") {
  CHECK(tighten(left(2), std::vector<Way>{{0, 1}, {0.2e9, 8}}) == 0);
}

TEST_CASE("bytes that are late bound a link's speed", "[tightening]") {
  CHECK(std::isinf(speed_bound(1e6, 0.005, 0)));
  CHECK(std::isinf(speed_bound(1e6, 0.055, 0.05)));
  CHECK(std::isinf(speed_bound(0, 10, 0)));
  CHECK(speed_bound(1e6, 0.15, 0.05) == Approx(1e7));
}
