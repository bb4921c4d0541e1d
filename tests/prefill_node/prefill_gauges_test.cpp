#include "prefill_node/prefill_gauges.h"

#include <catch2/catch.hpp>

#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::prefill;
using Catch::Contains;

TEST_CASE("a prefill node shows its queue and its speed") {
  Metrics m;
  const PrefillGauges g(m);
  PrefillFigures f;
  f.counters.waiting = 3;  // admitted, and nothing of them computed
  f.waiting = 2;
  f.tokens = 500;
  f.cache = {.blocks = 7, .queried_tokens = 900, .hit_tokens = 400, .evicted_blocks = 3};
  g.set(f, 6);
  CHECK_THAT(m.text(), Contains("sluice_prefill_waiting 5") && Contains("sluice_prefill_tokens_total 500"));
  CHECK_THAT(m.text(), Contains("sluice_prefix_cache_queries_tokens_total 900") &&
                           Contains("sluice_prefix_cache_hits_tokens_total 400") &&
                           Contains("sluice_prefix_cache_evicted_blocks_total 3") &&
                           Contains("sluice_prefix_cache_blocks 7"));
  CHECK(test::metrics_faults(m.text()) == std::vector<std::string>{});
}
