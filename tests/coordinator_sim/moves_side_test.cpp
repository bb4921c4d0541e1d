// Sequences that move between simulated decode nodes.
#include "coordinator/sim/moves_side.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

ClusterSpec cluster(std::size_t decodes) {
  auto s = make_scenario(json::object(), {{"spread", 0}, {"link_gbps", 100}}, 1);
  REQUIRE(s);
  s->cluster.prefills.resize(1, s->cluster.prefills[0]);
  s->cluster.decodes.resize(decodes, s->cluster.decodes[0]);
  return s->cluster;
}

SimResult run(const ClusterSpec& spec, const Load& load) {
  auto p = make_policy("sluice", {});
  auto r = simulate(spec, load, **p);
  REQUIRE(r);
  return std::move(*r);
}

/// Long answers, all early.
Load chats(std::size_t n, std::uint32_t output) {
  Load l;
  for (std::size_t i = 0; i < n; ++i) l.push_back({0.01 * static_cast<double>(i), 513, output});
  return l;
}

}  // namespace

TEST_CASE("a simulated drain ends soon where sequences move, and with the longest answer where they do not") {
  ClusterSpec spec = cluster(2);
  spec.drains = {{.at_s = 3, .decode = 0}};
  const Load load = chats(32, 2000);
  const SimResult stays = run(spec, load);
  spec.moves = true;
  const SimResult moves = run(spec, load);
  CHECK(stays.moves == 0);
  CHECK(moves.moves >= 10);
  REQUIRE(moves.drained_s.size() == 1);
  CHECK(moves.drained_s[0] > 0);
  CHECK(moves.drained_s[0] <= 2);
  for (const SimResult* r : {&stays, &moves})
    for (const Outcome& o : r->requests) CHECK(o.ttft_s > 0);
}

TEST_CASE("what a move costs a stream is small") {
  ClusterSpec spec = cluster(2);
  spec.slo.tpot_s = 10;  // nobody moves but for the drain
  const Load load = chats(8, 1000);
  const SimResult still = run(spec, load);
  spec.moves = true;
  spec.drains = {{.at_s = 3, .decode = 0}};
  const SimResult moved = run(spec, load);
  double most = 0;
  for (std::size_t i = 0; i < load.size(); ++i)
    most = std::max(most, static_cast<double>(moved.requests[i].tpot_s / still.requests[i].tpot_s));
  CHECK(most < 1.5);  // eight on one node instead of four and four
}

TEST_CASE("a steady cluster of equals moves nobody") {
  ClusterSpec spec = cluster(4);
  spec.moves = true;
  CHECK(run(spec, chats(64, 300)).moves == 0);
}

TEST_CASE("a slow node gives its sequences away, and no sequence moves for ever") {
  ClusterSpec spec = cluster(2);
  spec.moves = true;
  spec.decodes[0].flops /= 8;
  spec.decodes[0].memory_bps /= 8;
  const Load load = chats(40, 1500);
  spec.slo.tpot_s = 0.03;
  const SimResult r = run(spec, load);
  CHECK(r.moves <= load.size() * spec.mover.leg_moves);
  for (const Outcome& o : r.requests) CHECK(o.e2e_s > 0);
}
