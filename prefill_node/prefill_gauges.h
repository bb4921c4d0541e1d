#pragma once
// What a prefill node shows of its present state, written before each exposition. Threading: one thread at a time.
#include <string>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "kvtransfer/flow/link_stats.h"
#include "node/node_figures.h"
#include "prefill_node/prefill_loop.h"

namespace sluice::prefill {

class PrefillGauges {
 public:
  explicit PrefillGauges(Metrics& m);
  void set(const PrefillFigures& f, std::size_t open_requests) const;
  /// By decode node. Links that are not named any more are not shown any more.
  void set_links(const std::vector<std::pair<std::string, kv::LinkStats>>& links) const;

 private:
  node::BlockGauges blocks_;
  Gauge waiting_, queued_tokens_, speed_, open_;
  Counter tokens_;
  Gauges bandwidth_, rtt_, in_flight_, queued_bytes_;
};

}  // namespace sluice::prefill
