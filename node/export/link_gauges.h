#pragma once
// What a node shows of the links on which it sends KV, written before each exposition. Threading: one thread at a time.
#include <string>
#include <utility>
#include <vector>

#include "common/metrics.h"
#include "kvtransfer/flow/link_stats.h"
#include "node/export/peer_names.h"

namespace sluice::node {

class LinkGauges {
 public:
  explicit LinkGauges(Metrics& m)
      : bandwidth_(m.gauges("sluice_link_bandwidth_bytes_per_second", "Measured bandwidth to a decode node.")),
        rtt_(m.gauges("sluice_link_rtt_seconds", "Measured round trip to a decode node.")),
        in_flight_(m.gauges("sluice_link_in_flight_bytes", "Sent and not given back by the decode node.")),
        queued_(m.gauges("sluice_link_queue_bytes", "Waiting for the decode node's credit.")) {}
  /// By address. Links that are not named any more are not shown any more.
  void set(const std::vector<std::pair<std::string, kv::LinkStats>>& links, const PeerNames& names) const {
    for (const Gauges* g : {&bandwidth_, &rtt_, &in_flight_, &queued_}) g->clear();
    for (const auto& [address, s] : links) {
      const Labels link{{"decode_node", names.at(address)}};
      bandwidth_.with(link).set(s.bandwidth_bytes_per_s);
      rtt_.with(link).set(s.rtt_s);
      in_flight_.with(link).set(static_cast<double>(s.bytes_in_flight));
      queued_.with(link).set(static_cast<double>(s.queue_bytes));
    }
  }

 private:
  Gauges bandwidth_, rtt_, in_flight_, queued_;
};

}  // namespace sluice::node
