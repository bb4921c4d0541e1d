#include "node/export/profile_choice.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::node;

namespace {

const kv::Profile kChosen{.name = "chosen"}, kSmaller{.name = "smaller"}, kSmallest{.name = "smallest"};
const kv::FrameSpec kFrame{{0, 1}, kv::kKeysAndValues, {0, 16}};

ProfilePlan plan() {
  return {.profiles = {&kChosen, &kSmaller, &kSmallest}, .ways = {{1e12, 1}, {1e12, 2}, {1e9, 8}}, .planned_bps = 1e9};
}

TransferState at(double link_bps) { return {.planned_bps = 1e9, .link_bps = link_bps, .raw_left = 1e8}; }

}  // namespace

TEST_CASE("a link that gives way changes the profile once") {
  ProfileChoice c(plan());
  CHECK(c.pick(0, kFrame, at(1e9)) == 0);
  CHECK(c.changed_to() == 0);
  CHECK(c.pick(1, kFrame, at(1e8)) == 2);
  CHECK(c.pick(2, kFrame, at(1e9)) == 2);
  CHECK(c.pick(3, kFrame, at(1e3)) == 2);
  CHECK(c.changed_to() == 2);
}

TEST_CASE("frames that overtake each other are parted by their numbers all the same") {
  ProfileChoice c(plan());
  CHECK(c.pick(2, kFrame, at(1e9)) == 0);
  CHECK(c.pick(1, kFrame, at(1e8)) == 0);  // 2 went before it, under the chosen profile
  CHECK(c.pick(5, kFrame, at(1e8)) == 2);
  CHECK(c.pick(4, kFrame, at(1e8)) == 0);
  CHECK(c.pick(6, kFrame, at(1e8)) == 2);
}

TEST_CASE("an order is obeyed by position, however the link does") {
  ProfilePlan p = plan();
  p.order = std::vector<ChangeStep>{{0, 2}, {512, 0}};
  ProfileChoice c(p);
  const auto picked = [&](std::uint32_t token, std::uint32_t layer, double bps) {
    return c.pick(0, {{layer, 1}, kv::kKeysAndValues, {token, 16}}, at(bps));
  };
  CHECK(picked(0, 0, 1e3) == 0);
  CHECK(picked(496, 1, 1e3) == 0);
  CHECK(picked(496, 2, 1e9) == 1);
  CHECK(picked(512, 0, 1e9) == 1);
  CHECK(c.changed_to() == 1);
}

TEST_CASE("without others the chosen profile it is") {
  ProfileChoice none({});
  CHECK(none.pick(0, kFrame, at(1)) == 0);
  ProfileChoice alone({.profiles = {&kChosen}, .ways = {{1e12, 1}}, .planned_bps = 1e9});
  CHECK(alone.pick(0, kFrame, at(1)) == 0);
}
