#include "node/export/link_gauges.h"

#include <catch2/catch.hpp>

#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::node;
using Catch::Contains;

TEST_CASE("a node shows the links on which it sends, by the name of who is there") {
  Metrics m;
  const LinkGauges g(m);
  PeerNames names;
  names.learn("h:1", NodeId("d0"));
  names.learn("h:2", NodeId("d1"));
  g.set({{"h:1", {.rtt_s = 0.25}}, {"h:2", {.rtt_s = 0.5}}}, names);
  CHECK_THAT(m.text(), Contains("sluice_link_rtt_seconds{decode_node=\"d0\"} 0.25"));
  CHECK_THAT(m.text(), Contains("sluice_link_rtt_seconds{decode_node=\"d1\"} 0.5"));
  CHECK(test::metrics_faults(m.text()) == std::vector<std::string>{});
  g.set({{"h:2", {.rtt_s = 0.5}}}, names);
  CHECK_THAT(m.text(), !Contains("\"d0\"") && Contains("\"d1\""));
}

TEST_CASE("a decode node is known by its name once somebody said it, until it goes") {
  PeerNames names;
  CHECK(names.at("h:1") == "h:1");
  names.learn("h:1", NodeId("d0"));
  names.learn("h:1", NodeId());  // of a coordinator that does not say
  CHECK(names.at("h:1") == "d0");
  names.learn("h:1", NodeId("d7"));
  CHECK(names.at("h:1") == "d7");
  names.forget("h:1");
  CHECK(names.at("h:1") == "h:1");
}
