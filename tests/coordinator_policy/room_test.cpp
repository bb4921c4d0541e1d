#include "coordinator/policy/room.h"

#include <catch2/catch.hpp>

#include "coordinator/policy/output_lengths.h"
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

TEST_CASE("where sequences grow there is room for what is there now, while what is expected stays below the pool") {
  ClusterSnapshot c = cluster(1, 1);  // 1000 blocks of 16
  DecodeView& d = c.decodes[0];
  d.grows = true;
  RequestFeatures r = request(160, 8000);
  OutputLengths lengths;
  for (int i = 0; i < 200; ++i) lengths.observe(100, true);
  r.stay = expected_stay(lengths, 0, r.max_new_tokens);
  CHECK(blocks_at_start(d, r) == 10);
  CHECK(tokens_expected(r, true) == Approx(260).margin(30));
  CHECK(tokens_expected(r, false) == 8160);
  int taken = 0;
  for (; room_on(d, r) == Room::now; ++taken) {
    const DecodePlace p = place_on(d, r);
    CHECK(p.blocks == 10);
    CHECK(p.grows_at == 161);
    d.free_blocks -= p.blocks;
    d.memory.add(p.part);
    ++d.seqs;
  }
  CHECK(taken > 45);  // of 17 blocks each, where whole outputs would let two in
  CHECK(taken < 65);
  CHECK(room_on(d, r) == Room::later);
  CHECK(d.free_blocks > 300);

  d.memory.clear();
  CHECK(room_on(d, r) == Room::now);
  d.closed = true;
  CHECK(room_on(d, r) == Room::later);
  d.closed = false;
  d.free_blocks = 9;
  CHECK(room_on(d, r) == Room::later);
  r.emitted = 16;  // it comes again with these
  d.free_blocks = 10;
  CHECK(room_on(d, r) == Room::later);
  d.free_blocks = 11;
  CHECK(room_on(d, r) == Room::now);
  r.whole = true;  // it takes all at once
  CHECK(blocks_at_start(d, r) == 510);
  CHECK(room_on(d, r) == Room::later);
  d.free_blocks = 510;
  CHECK(room_on(d, r) == Room::now);
  CHECK(place_on(d, r).grows_at > 160 + 8000);
  r.max_new_tokens = 16000;  // more than the pool, once all of it is there
  CHECK(room_on(d, r) == Room::never);
}

TEST_CASE("where sequences do not grow nothing is expected, and nothing closed") {
  ClusterSnapshot c = cluster(1, 2);
  DecodeView& d = c.decodes[0];
  const RequestFeatures r = request(160, 8000);
  d.closed = true;
  d.free_blocks = 510;
  CHECK(blocks_at_start(d, r) == 510);
  CHECK(room_on(d, r) == Room::now);
  CHECK(place_on(d, r).grows_at == 0);
  d.free_blocks = 509;
  CHECK(room_on(d, r) == Room::later);
  CHECK_FALSE(all_grow(c));
  d.grows = true;
  CHECK_FALSE(all_grow(c));
  c.decodes[1].usable = false;
  CHECK(all_grow(c));
}
