#include "decode_node/decode_gauges.h"

#include <catch2/catch.hpp>

#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::decode;
using Catch::Contains;

TEST_CASE("a decode node shows its legs, its steps and its staging") {
  Metrics m;
  const DecodeGauges g(m);
  DecodeFigures f;
  f.legs = 3;
  f.steps = 40;
  g.set(f, {.waiting = 3, .cached = 4, .cached_bytes = 5}, {.connections = 2, .violations = 1});
  g.set(f, {.waiting = 3, .cached = 4, .cached_bytes = 5}, {.connections = 1, .violations = 1});
  CHECK_THAT(m.text(), Contains("sluice_grammars_waiting 3") && Contains("sluice_grammars_cached_bytes 5"));
  CHECK_THAT(m.text(), Contains("sluice_legs 3") && Contains("sluice_decode_steps_total 40"));
  CHECK_THAT(m.text(), Contains("sluice_kv_connections 1") && Contains("sluice_kv_violations_total 1"));
  CHECK(test::metrics_faults(m.text()) == std::vector<std::string>{});
}
