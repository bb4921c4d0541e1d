#pragma once
// Nodes that change their role: by an operator's word, or because the balance of the roles is wrong (role_balance.h).
// Asks the node, follows it until it is back, and tells log, decisions and metrics. Owns the balance and the changes
// under way; a change that another coordinator asked for is a drain to this one.
//
// Threading: the coordinator's io_context thread. Failure: not_found (no such node), unsupported (it cannot), invalid_
// argument (the last of its role, or that role already), or what the node says. A node that is not back in time is
// logged and given up.
#include <map>
#include <optional>

#include "coordinator/policy/role_balance.h"
#include "coordinator/policy/slo_book.h"
#include "coordinator/serving/decision_log.h"
#include "coordinator/serving/node_calls.h"

namespace sluice::coordinator {

/// Without this node every request would be refused: no other of its role takes requests.
[[nodiscard]] bool last_of_role(const ClusterView& view, const NodeRecord& node);

class RoleDesk {
 public:
  struct Uses {
    ClusterView& view;
    Placement& placement;
    const SloBook& slos;
    NodeCalls& calls;
    DecisionLog& log;
    const Clock& clock;
    std::function<bool()> leads;
  };
  using Done = NodeCalls::Done<void>;

  /// automatic: changes are made without being asked for, while this coordinator leads.
  RoleDesk(Uses u, Metrics& metrics, bool automatic);

  /// `done` comes when the node has begun, or with why it does not.
  void change(const NodeId& node, control::Role to, bool force, Done done) {
    change(node, to, force, "operator", "", std::move(done));
  }
  void arrived(std::size_t prompt_tokens) { balance_.arrived(static_cast<double>(prompt_tokens), use_.clock.now()); }
  void ended(const Session& s);
  void on_node_up(const NodeId& node);
  /// Often; looks at the balance about every second.
  void sweep();

  [[nodiscard]] std::optional<control::Role> becomes(const NodeId& node) const;
  [[nodiscard]] nlohmann::json status() const;

 private:
  struct Change {
    control::Role to;
    std::string reason;  // "operator" or "balance"
    TimePoint since;
  };
  void change(const NodeId& node, control::Role to, bool force, const std::string& reason, const std::string& why,
              Done done);
  [[nodiscard]] Result<> check(const NodeId& node, control::Role to, bool force) const;
  void balance();
  void end(std::map<NodeId, Change>::iterator it, bool well, const std::string& why);

  Uses use_;
  bool automatic_;
  RoleBalance balance_;
  std::map<NodeId, Change> changes_;
  nlohmann::json last_;  // the last change that ended
  TimePoint looked_{};
  Counters counted_;
  Histogram took_;
};

}  // namespace sluice::coordinator
