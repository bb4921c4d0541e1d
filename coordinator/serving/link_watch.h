#pragma once
// Has links measured: all of a node's when it registers, and one that was idle for long. Owns what is known of links'
// idleness (LinkProbes); speeds come back with the nodes' heartbeats. Of several coordinators the leader does it: two
// measurements of a link at once would each find half of it. The others look after kOthersWait whether a node's links
// have been measured, and measure those that have not: there may be no leader.
// Threading: the coordinator's io_context thread.
#include <functional>
#include <map>
#include <set>

#include "common/metrics.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/serving/node_calls.h"

namespace sluice::coordinator {

class LinkWatch {
 public:
  struct Uses {
    ClusterView& view;
    NodeCalls& calls;
    Metrics& metrics;
    const Clock& clock;
    std::function<bool()> leads;  // duties that one coordinator has are ours
  };
  /// every_s: a link that nothing went over for so long is measured anew; 0: never.
  LinkWatch(const Uses& u, double every_s)
      : use_(u),
        probes_(every_s),
        measured_(u.metrics.counters("sluice_link_probes_total", "Measurements of links by outcome.")) {}

  /// Asks each prefill node to measure its path to each decode node that is new to it.
  void on_node_up(const NodeId& node);
  void on_node_lost(const NodeId& node) {
    probes_.forget(node);
    waiting_.erase(node);
    std::erase_if(stood_in_, [&](const LinkProbes::Link& l) { return l.prefill == node || l.decode == node; });
  }
  static constexpr std::chrono::seconds kOthersWait{3};
  /// A transfer begins, and ends.
  void began(const NodeId& prefill, const NodeId& decode) { probes_.began({prefill, decode}); }
  void ended(const NodeId& prefill, const NodeId& decode) { probes_.ended({prefill, decode}, use_.clock.now()); }
  /// Now and then: a few of those whose turn it is.
  void measure_idle();

 private:
  void probe(const LinkProbes::Link& l, const std::string& data_address, std::uint32_t block_bytes);
  /// A new node's links: all, or those that nobody has measured.
  void measure_new(const NodeId& node, bool all);
  void measure_waiting();

  Uses use_;
  LinkProbes probes_;
  std::map<NodeId, TimePoint> waiting_;  // new nodes whose links another coordinator should measure, and since when
  std::set<LinkProbes::Link> stood_in_;  // measured in another's place: both its nodes ask for that, once is enough
  Counters measured_;
};

}  // namespace sluice::coordinator
