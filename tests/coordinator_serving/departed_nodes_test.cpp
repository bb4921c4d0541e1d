#include "coordinator/serving/departed_nodes.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;

TEST_CASE("a lost node is named once, when its grace is over") {
  const TimePoint t{1000s};
  DepartedNodes d;
  d.lost(NodeId("a"), t);
  d.lost(NodeId("b"), t + 1min);
  CHECK(d.take_due(t + DepartedNodes::kGrace - 1s).empty());
  CHECK(d.take_due(t + DepartedNodes::kGrace) == std::vector{NodeId("a")});
  CHECK(d.take_due(t + 1h) == std::vector{NodeId("b")});
  CHECK(d.take_due(t + 2h).empty());
}

TEST_CASE("a node that is back in time keeps what is told of it") {
  const TimePoint t{1000s};
  DepartedNodes d;
  d.lost(NodeId("a"), t);
  d.back(NodeId("a"));
  CHECK(d.take_due(t + 1h).empty());
  d.lost(NodeId("a"), t + 2h);
  CHECK(d.take_due(t + 2h + 1min).empty());
}
