#include "coordinator/policy/mover.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace sluice::coordinator::test;

namespace {

/// A cluster of equal decode nodes with sequences on them. A step takes base + each * sequences.
struct World final : MoverSight {
  explicit World(std::size_t nodes, const MoverOptions& o = {}) : c(cluster(1, nodes)), look(nodes), mover(o) {
    for (int i = 0; i < 200; ++i) lengths.observe(500, true);
  }
  bool may_go(const MovableLeg&, std::size_t node) override { return !shut.contains(node); }
  double step_s(std::size_t, double seqs, double) override { return base + each * seqs; }
  double copy_s(std::size_t, std::size_t, double positions) override { return positions * 1e-5; }

  MovableLeg& add(std::size_t node, double positions = 200, double limit = 500) {
    MovableLeg l{.id = RequestId(++ids), .node = node, .positions = positions, .emitted = 20, .limit = limit};
    l.blocks = std::ceil((positions + limit) / 16);
    l.elapsed_s = 20 * base;
    l.tpot_slo_s = 0.1;
    l.rested_s = 100;
    return legs.emplace_back(l);
  }
  std::vector<PlannedMove> plan() {
    for (DecodeView& d : c.decodes) d.free_blocks = d.total_blocks, d.seqs = 0;
    for (const MovableLeg& l : legs) {
      c.decodes[l.node].free_blocks -= static_cast<std::uint32_t>(l.blocks);
      ++c.decodes[l.node].seqs;
    }
    return mover.plan(c, look, legs, waits, lengths, *this, now);
  }
  /// Plans for so long, and does what is planned; how many moves that was.
  std::size_t run(double s, double each_s = 0.5) {
    std::size_t n = 0;
    for (double t = 0; t < s; t += each_s, now += from_seconds(each_s))
      for (const PlannedMove& m : plan()) {
        REQUIRE(legs[m.leg].node != m.target);
        legs[m.leg].node = m.target;
        ++legs[m.leg].moves;
        legs[m.leg].rested_s = -1e9;
        ++n;
      }
    return n;
  }

  ClusterSnapshot c;
  std::vector<NodeOutlook> look;
  std::vector<MovableLeg> legs;
  std::optional<WaitingPrompt> waits;
  OutputLengths lengths;
  Mover mover;
  TimePoint now{};
  std::set<std::size_t> shut;
  double base = 0.01, each = 0.001;
  std::uint64_t ids = 0;
};

}  // namespace

TEST_CASE("a draining node's sequences move, the longest first, to where there is room") {
  World w(3);
  w.add(0, 200, 100);
  w.add(0, 200, 500);
  w.add(1);
  w.look[0].drains = true;
  w.c.decodes[0].usable = false;
  const auto moves = w.plan();
  REQUIRE(moves.size() == 2);
  CHECK(moves[0] == PlannedMove{1, 2, MoveReason::drain});  // the emptier one
  CHECK(moves[1].leg == 0);
  w.legs[1].moving = w.legs[0].moving = true;
  CHECK(w.plan().empty());
}

TEST_CASE("a drain has a bound at a time, and none over all") {
  World w(2, {.drain_at_a_time = 3});
  for (int i = 0; i < 10; ++i) w.add(0).moves = 100;
  for (MovableLeg& l : w.legs) l.rested_s = 0;
  w.look[0].drains = true;
  CHECK(w.plan().size() == 3);
}

TEST_CASE("a sequence that ends before its copy would be there stays") {
  World w(2);
  w.add(0, 100000, 21);
  w.look[0].drains = true;
  CHECK(w.plan().empty());
}

TEST_CASE("nobody goes where it may not, or where there is no room") {
  World w(3);
  w.add(0);
  w.look[0].drains = true;
  w.shut = {1};
  w.c.decodes[2].max_seqs = 0;
  CHECK(w.plan().empty());
  w.shut = {};
  w.look[1].drains = true;
  CHECK(w.plan().empty());
}

TEST_CASE("a sequence that misses its objective here and keeps it there moves, once that lasts") {
  World w(2);
  w.each = 0.005;
  for (int i = 0; i < 20; ++i) w.add(0);  // 110 ms a step; alone 15 ms
  CHECK(w.plan().empty());
  CHECK(w.run(1.5) == 0);
  CHECK(w.run(1.0) == 1);
  const std::size_t moved = w.run(60);
  CHECK(moved >= 1);
  CHECK(moved <= 10);  // until those left are fast enough
  CHECK(std::ranges::count(w.legs, std::size_t{0}, &MovableLeg::node) >= 10);
}

TEST_CASE("a gain that does not pay for the stall is none") {
  World w(2);
  w.each = 0.005;
  for (int i = 0; i < 20; ++i) w.add(0, 200, 23);  // three tokens left
  for (MovableLeg& l : w.legs) l.elapsed_s = 20 * 0.11;
  CHECK(w.run(20) == 0);
}

TEST_CASE("two equal nodes never swap") {
  World w(2);
  w.each = 0.01;
  for (int i = 0; i < 12; ++i) w.add(i % 2);  // 70 ms... and all of them are too slow
  for (MovableLeg& l : w.legs) l.tpot_slo_s = 0.03;
  w.look[0].memory_share = w.look[1].memory_share = 0.97;
  w.look[0].parked = w.look[1].parked = 1;
  CHECK(w.run(120) == 0);
}

TEST_CASE("a node that will run out of memory gives its least urgent, where another one has room to spare") {
  World w(2);
  for (int i = 0; i < 4; ++i) w.add(0);
  w.legs[2].priority = 5;
  w.look[0].memory_share = 1.1;
  w.look[1].memory_share = 0.3;
  CHECK(w.run(1.5) == 0);
  for (double t = 0; t < 2; t += 0.5, w.now += std::chrono::milliseconds(500))
    if (const auto moves = w.plan(); !moves.empty()) {
      CHECK(moves == std::vector{PlannedMove{2, 1, MoveReason::memory}});
      return;
    }
  FAIL("none moved");
}

TEST_CASE("parked sequences are a reason, and a full target is none") {
  World w(2);
  for (int i = 0; i < 4; ++i) w.add(0);
  w.look[0].parked = 1;
  w.look[1].memory_share = 0.84;
  CHECK(w.run(10) == 0);
  w.look[1].memory_share = 0.2;
  CHECK(w.run(3) >= 1);
}

TEST_CASE("a large prompt that fits nowhere gets room by the fewest moves") {
  World w(2);
  for (int i = 0; i < 7; ++i) w.add(0, 1600, 400);  // 125 blocks each: 875 of 1000
  for (int i = 0; i < 4; ++i) w.add(1, 1600, 400);  // 500 of 1000
  w.waits = WaitingPrompt{.tokens = 600 * 16, .waited_s = 0.1};
  CHECK(w.plan().empty());  // it has not waited yet
  w.waits->waited_s = 1;
  const auto moves = w.plan();
  REQUIRE(moves.size() == 1);  // node 1 has 500: one less there makes 625
  CHECK(w.legs[moves[0].leg].node == 1);
  CHECK(moves[0].target == 0);
  CHECK(moves[0].reason == MoveReason::room);
  w.waits->tokens = 400 * 16;  // fits as it is
  w.now += std::chrono::seconds(10);
  CHECK(w.plan().empty());
  w.waits->tokens = 990 * 16;  // would need more than a few
  CHECK(w.plan().empty());
}

TEST_CASE("without rebalancing only drains move") {
  World w(2, {.rebalance = false});
  w.each = 0.005;
  for (int i = 0; i < 20; ++i) w.add(0);
  w.look[0].parked = 3;
  w.waits = WaitingPrompt{.tokens = 600 * 16, .waited_s = 5};
  CHECK(w.run(20) == 0);
}

// Whatever the load, moves must not become the load.
TEST_CASE("random loads: moves are bounded, per sequence and per node and time") {
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 rng(seed);
    const auto draw = [&](double lo, double hi) { return std::uniform_real_distribution<double>(lo, hi)(rng); };
    World w(2 + seed % 4);
    w.each = draw(0.0005, 0.006);
    std::size_t moves = 0;
    std::map<RequestId, std::uint32_t> of;
    for (double t = 0; t < 120; t += 0.5, w.now += std::chrono::milliseconds(500)) {
      if (w.legs.size() < 60 && draw(0, 1) < 0.8) {
        MovableLeg& l = w.add(static_cast<std::size_t>(draw(0, static_cast<double>(w.c.decodes.size()) - 0.01)),
                              draw(50, 1500), draw(50, 800));
        l.priority = static_cast<int>(draw(0, 3));
        l.rested_s = 0;
        l.tpot_slo_s = draw(0.02, 0.2);
      }
      for (std::size_t d = 0; d < w.look.size(); ++d)
        w.look[d] = {.drains = false, .memory_share = draw(0.2, 1.2), .parked = draw(0, 1) < 0.2 ? 1U : 0U};
      w.waits = draw(0, 1) < 0.3 ? std::optional(WaitingPrompt{draw(1000, 15000), draw(0, 3)}) : std::nullopt;
      std::erase_if(w.legs, [&](const MovableLeg& l) { return l.emitted >= l.limit; });
      if (std::ranges::any_of(w.c.decodes, [&](const DecodeView& d) {
            double held = 0;
            for (const MovableLeg& l : w.legs) held += w.c.decodes[l.node].id == d.id ? l.blocks : 0;
            return held > d.total_blocks;
          })) {
        w.legs.pop_back();
        continue;
      }
      for (const PlannedMove& m : w.plan()) {
        MovableLeg& l = w.legs[m.leg];
        CHECK(l.rested_s >= MoverOptions{}.leg_rest_s);
        l.node = m.target;
        ++l.moves;
        l.rested_s = 0;
        CHECK(++of[l.id] <= MoverOptions{}.leg_moves);
        ++moves;
      }
      for (MovableLeg& l : w.legs) {
        const double step = w.step_s(l.node, static_cast<double>(w.c.decodes[l.node].seqs), 0);
        l.emitted += 0.5 / step;
        l.positions += 0.5 / step;
        l.elapsed_s += 0.5;
        l.rested_s += 0.5;
      }
    }
    INFO("seed " << seed << ": " << moves << " moves");
    // A node takes part in one a second at most; room for a prompt is one plan of a few.
    CHECK(moves <= 120 * w.c.decodes.size() / 2 + 120 * MoverOptions{}.room_moves / 2);
  }
}
