#include "node/export/frame_planner.h"

#include <catch2/catch.hpp>

#include "node/export/export_options.h"

using namespace sluice;
using namespace sluice::node;

namespace {

const kv::KvLayout kLayout{3, 2, 16, kv::KvDType::bf16};

}  // namespace

TEST_CASE("frames are numbered in the order in which they become ready, and all bytes are in them") {
  FramePlanner p(kLayout, 2048, true);
  std::vector<PlannedFrame> all;
  for (std::uint32_t layer = 0; layer < 3; ++layer)
    for (const PlannedFrame& f : p.layer_done({0, 64}, layer)) all.push_back(f);
  REQUIRE(all.size() > 3);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].sequence == i);
    bytes += p.raw_bytes(all[i].spec);
  }
  CHECK(bytes == kLayout.token_bytes() * 64);
  CHECK(p.planned_bytes() == bytes);
  CHECK(p.computed().empty());
}

TEST_CASE("without overlap frames wait for the end of compute, and are the same ones") {
  FramePlanner with(kLayout, 2048, true);
  FramePlanner without(kLayout, 2048, false);
  std::vector<PlannedFrame> want;
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    for (const PlannedFrame& f : with.layer_done({0, 64}, layer)) want.push_back(f);
    CHECK(without.layer_done({0, 64}, layer).empty());
  }
  CHECK(without.planned_bytes() == 0);
  const auto got = without.computed();
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i].spec == want[i].spec);
    CHECK(got[i].sequence == want[i].sequence);
  }
  CHECK(without.computed().empty());
}

TEST_CASE("a link's window is a short while of its speed, and leaves room for others") {
  const ExportOptions o{.target_frame_bytes = 1000, .max_inflight_bytes = 100'000};
  CHECK(link_window(0, o) == 75'000);  // not known yet
  CHECK(link_window(1e9, o) == 75'000);
  CHECK(link_window(1e6, o) == 50'000);
  CHECK(link_window(1, o) == 2000);
}
