#pragma once
// What a prefill node shows of its present state, written before each exposition. Threading: one thread at a time.
#include "common/metrics.h"
#include "node/node_figures.h"
#include "prefill_node/prefill_loop.h"

namespace sluice::prefill {

class PrefillGauges {
 public:
  explicit PrefillGauges(Metrics& m);
  void set(const PrefillFigures& f, std::size_t open_requests) const;

 private:
  node::BlockGauges blocks_;
  Gauge waiting_, queued_tokens_, speed_, open_;
  Counter tokens_;
  Counter cache_queries_, cache_hits_, cache_evicted_;
  Gauge cache_blocks_;
};

}  // namespace sluice::prefill
