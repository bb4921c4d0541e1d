// Draining the last node of a role was an outage that nobody was asked about.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("the last node of a role that takes requests is drained by force only") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(node_info(ctl::Role::decode, "d0"));
  b.join(node_info(ctl::Role::decode, "d1"));
  CHECK(b.serving.drain_node(NodeId("p7"), false).error().code == Errc::not_found);
  const auto last = b.serving.drain_node(NodeId("p0"), false);
  REQUIRE_FALSE(last);
  CHECK(last.error().param == "force");
  CHECK_FALSE(b.serving.view().find(NodeId("p0"))->draining);
  CHECK(b.serving.drain_node(NodeId("d0"), false));
  CHECK_FALSE(b.serving.drain_node(NodeId("d1"), false));  // d0 takes nothing any more
  CHECK(b.serving.drain_node(NodeId("d1"), true));
  CHECK(b.serving.view().find(NodeId("d1"))->draining);
}
