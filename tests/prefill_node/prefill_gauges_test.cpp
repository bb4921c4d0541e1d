#include "prefill_node/prefill_gauges.h"

#include <catch2/catch.hpp>

#include "prefill_node/peer_names.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::prefill;
using Catch::Contains;

TEST_CASE("a prefill node shows its queue, its speed and its links") {
  Metrics m;
  const PrefillGauges g(m);
  PrefillFigures f;
  f.counters.waiting = 3;  // admitted, and nothing of them computed
  f.waiting = 2;
  f.tokens = 500;
  g.set(f, 6);
  g.set_links({{"d0", {.rtt_s = 0.25}}, {"d1", {.rtt_s = 0.5}}});
  CHECK_THAT(m.text(), Contains("sluice_prefill_waiting 5") && Contains("sluice_prefill_tokens_total 500"));
  CHECK_THAT(m.text(), Contains("sluice_link_rtt_seconds{decode_node=\"d0\"} 0.25"));
  CHECK(test::metrics_faults(m.text()) == std::vector<std::string>{});
  g.set_links({{"d1", {.rtt_s = 0.5}}});
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
