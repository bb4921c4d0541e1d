#pragma once
// Changes of the KV profile in mid-transfer (docs/adr/0005): what a leg's sender is offered, and what it says it did.
// Its state is in the leg: Attempt's ways, Answer's change. Threading: the coordinator's io_context thread.
#include "coordinator/serving/serving_metrics.h"
#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class KvChanges {
 public:
  /// Borrows both. `offered`: senders may change at all.
  KvChanges(const ClusterView& view, ServingMetrics& figures, bool offered)
      : view_(view), figures_(figures), offered_(offered) {}

  /// For a leg that was just placed: what its sender may change to, and what it needs to decide that. Once a client has
  /// read of the answer, a change is an order: the same KV again.
  void offer(Session& s, const ClusterSnapshot& c) const;
  /// The decode node has the KV, with this change. data_corrupt: it is not what the answer may be made from.
  [[nodiscard]] Result<> arrived(Session& s, std::optional<control::ProfileChange> change);

 private:
  void raise_kl(Session& s) const;

  const ClusterView& view_;
  ServingMetrics& figures_;
  bool offered_;
};

}  // namespace sluice::coordinator
