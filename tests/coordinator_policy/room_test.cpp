#include "coordinator/policy/room.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace sluice::coordinator::test;

TEST_CASE("the largest context is that of the largest decode node that takes requests") {
  ClusterSnapshot c = cluster(1, 2);
  CHECK(largest_context(c) == 16000);
  c.decodes[1].total_blocks = 2000;
  c.decodes[1].free_blocks = 0;  // full now, but it can
  CHECK(largest_context(c) == 32000);
  c.decodes[1].usable = false;
  CHECK(largest_context(c) == 16000);
  c.decodes[0].usable = false;
  CHECK(largest_context(c) == 0);
  c.decodes[0] = {.usable = true, .block_size = 1024, .total_blocks = UINT32_MAX};
  CHECK(largest_context(c) == UINT32_MAX);
}

TEST_CASE("what no node can ever hold is refused with the true bound, what fits later waits") {
  ClusterSnapshot c = cluster(1, 2);
  CHECK_FALSE(check_room(c, request(15000, 1000)));
  const auto never = check_room(c, request(15000, 1001));
  REQUIRE(never);
  const auto& refusal = std::get<Refusal>(*never);
  CHECK(refusal.error.code == Errc::invalid_argument);
  CHECK_THAT(refusal.error.message, Catch::Contains("16000 tokens"));
  CHECK(refusal.retry_after_s == 0);
  for (auto& d : c.decodes) d.free_blocks = 10;
  const auto later = check_room(c, request(15000, 1000));
  REQUIRE(later);
  CHECK(std::holds_alternative<Wait>(*later));
}
