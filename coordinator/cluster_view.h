#pragma once
// What the coordinator knows of its nodes: identity, lease, measured rates, and its own account of assigned work.
//
// Work is accounted here, not read from heartbeats: this coordinator hands out all of it, and a heartbeat is always
// a little old. Heartbeats bring measured speeds. Pure state with the time given; not thread-safe.
#include <map>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/control/messages.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct NodeRecord {
  control::RegisterRequest info;
  control::Heartbeat last;
  TimePoint seen{};
  bool draining = false;
  // This coordinator's account.
  std::uint64_t queued_tokens = 0;    // prefill: assigned, not yet computed
  std::uint32_t reserved_blocks = 0;  // decode
  std::uint32_t seqs = 0;             // decode
  std::uint64_t requests = 0;         // ever assigned
  std::vector<ProfileSpeed> speeds;   // by profile index
};

class ClusterView {
 public:
  explicit ClusterView(Duration lease) : lease_(lease) {}

  /// Admits a node, or refuses one that cannot work with the others (invalid_argument) or whose name is taken by a live
  /// node (already_exists). A new incarnation of a known name replaces the old one.
  [[nodiscard]] Result<> add(control::RegisterRequest info, TimePoint now);
  void heartbeat(const NodeId& node, control::Heartbeat h, TimePoint now);
  void remove(const NodeId& node);
  [[nodiscard]] bool set_draining(const NodeId& node, bool draining);
  /// Nodes whose lease ran out; the caller removes them.
  [[nodiscard]] std::vector<NodeId> expired(TimePoint now) const;

  /// Accounts for a placed request and for its end.
  void assign(const NodeId& prefill, std::uint64_t tokens, const NodeId& decode, std::uint32_t blocks);
  void prefill_finished(const NodeId& prefill, std::uint64_t tokens);
  void release(const NodeId& decode, std::uint32_t blocks);

  [[nodiscard]] const ClusterSnapshot& snapshot();
  [[nodiscard]] const NodeRecord* find(const NodeId& node) const;
  [[nodiscard]] const std::map<NodeId, NodeRecord>& nodes() const noexcept { return nodes_; }
  [[nodiscard]] const std::vector<ProfileEntry>& profiles() const noexcept { return profiles_; }
  [[nodiscard]] const control::ModelIdentity* model() const noexcept { return nodes_.empty() ? nullptr : &model_; }

 private:
  [[nodiscard]] Result<> check_model(const control::RegisterRequest& info) const;
  void update_speeds(NodeRecord& n, const std::vector<control::ProfileInfo>& seen) const;

  Duration lease_;
  std::map<NodeId, NodeRecord> nodes_;
  control::ModelIdentity model_;  // pinned by the first node while any is here
  std::vector<ProfileEntry> profiles_;
  ClusterSnapshot snapshot_;
};

}  // namespace sluice::coordinator
