#include "coordinator/policy/transfer_offer.h"

#include <catch2/catch.hpp>

#include "coordinator/policy/placement.h"
#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

TEST_CASE("the ways of a transfer are the chosen profile's and its fallbacks', as the pair of nodes is known") {
  auto c = test::cluster(2, 2);
  c.prefills[1].profiles[2] = {3e9, 1, 4.5};
  c.decodes[1].profiles[2].decode_bps = 5e9;
  const auto ways = transfer_ways(c, test::request(), {.prefill = 1, .decode = 1, .profile = 0});
  REQUIRE(ways.size() == 3);
  CHECK(ways[0].profile == 0);
  CHECK(ways[1].profile == 1);
  CHECK(ways[2].profile == 2);
  CHECK(ways[2].ratio == 4.5);
  CHECK(ways[2].encode_bps == 3e9);
  CHECK(ways[2].decode_bps == 5e9);
  auto pinned = test::request();
  pinned.profile = "raw";
  CHECK(transfer_ways(c, pinned, {.profile = 0}).size() == 1);
}

TEST_CASE("the planned speed is the link's, as slow as it was reckoned or reported, or the decoder's") {
  auto c = test::cluster(1, 1);
  Candidate k{.profile = 1, .raw_bytes = 2e6, .wire_bytes = 1e6, .link_bps = 0.8e9};
  CHECK(planned_link_bps(c, k) == 0.8e9);
  c.links[0].bandwidth_bps = 0.5e9;
  CHECK(planned_link_bps(c, k) == 0.5e9);
  c.decodes[0].profiles[1].decode_bps = 0.6e9;  // of raw bytes: half as many on the wire
  CHECK(planned_link_bps(c, k) == Approx(0.3e9));
  c.decodes[0].profiles[1].decode_bps = 0;  // not known
  CHECK(planned_link_bps(c, k) == 0.5e9);
}
