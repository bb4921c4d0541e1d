#pragma once
// All legs that have not ended, by id. The one owner of sessions besides the calls under way, which keep theirs alive.
// Threading: the coordinator's io_context thread.
#include <unordered_map>
#include <vector>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {

/// Legs that have not ended. A leg waits until its computation begins, wherever it does: for a place, for room, or in
/// the queue of its prefill node, as that node's last heartbeat tells.
struct LegCounts {
  std::size_t waiting = 0, running = 0;
};

class LegTable {
 public:
  /// Ids are of this space: nodes tell coordinators apart by it.
  explicit LegTable(control::LegSpace space = {}) : next_id_(control::base_of(space) + 1) {}
  /// Gives the leg its id; ids are given in order.
  SessionPtr add(Asked asked, std::shared_ptr<LegSink> sink);
  void remove(RequestId id) { legs_.erase(id); }
  /// Null when it has ended.
  [[nodiscard]] SessionPtr find(RequestId id) const;
  [[nodiscard]] std::size_t size() const noexcept { return legs_.size(); }
  [[nodiscard]] const std::unordered_map<RequestId, SessionPtr>& all() const noexcept { return legs_; }

  [[nodiscard]] LegCounts counts(const ClusterView& view) const;

  /// Legs that need this node for what is under way, in order of arrival.
  [[nodiscard]] std::vector<SessionPtr> on_node(const NodeId& node) const;
  /// What decode nodes hold and will hold: as this coordinator's own account has it, and others' legs as nodes told. A
  /// copy.
  [[nodiscard]] OccupantsOf occupants(const ClusterView& view, TimePoint now) const;

 private:
  std::unordered_map<RequestId, SessionPtr> legs_;
  std::uint64_t next_id_;
};

}  // namespace sluice::coordinator
