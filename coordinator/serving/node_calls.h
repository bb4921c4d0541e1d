#pragma once
// Calls to nodes: what each asks, made from a leg or a link, and the answer in our own terms. Holds no state of its
// own.
//
// Threading: the coordinator's io_context thread. `done` comes from there too, at once when the node is not connected
// (unavailable), else when it answers or the call times out. Whoever calls keeps what `done` needs alive until then.
#include <functional>

#include "common/control/move_messages.h"
#include "coordinator/cluster/link_probes.h"
#include "coordinator/cluster/node_registry.h"
#include "coordinator/serving/prefix_sight.h"
#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class NodeCalls {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  /// Borrows all. lifetime_s: of a request, which bounds what nodes keep for it.
  NodeCalls(NodeRegistry& registry, const ClusterView& view, double lifetime_s, const PrefixSight& prefixes)
      : registry_(registry), view_(view), lifetime_s_(lifetime_s), prefixes_(prefixes) {}

  /// Room on the decode node for the leg's present attempt, and a ticket for its KV.
  void reserve(const Session& s, Done<control::ReserveReply> done);
  /// The prompt to the prefill node, with that ticket. Answered once it is accepted.
  void prefill(const Session& s, control::ReserveReply ticket, Done<void> done);
  /// Of a leg that moves (its `moves.now`): room on the target; the copy, with the target's ticket; what the target
  /// lacks of the tokens; and to the source that the move is off.
  void reserve_target(const Session& s, Done<control::ReserveReply> done);
  void move(const Session& s, control::ReserveReply ticket, Done<control::MoveReply> done);
  void go_on(const Session& s, Done<void> done);
  void stay(const Session& s, Done<void> done);
  /// Nobody waits for this leg any more. A node that is gone needs not be told. let_go: the node holds nothing of it
  /// now, or cannot be asked.
  void cancel(const NodeId& node, RequestId id, std::function<void()> let_go = {});
  void drain(const NodeId& node);
  /// Answered once it has begun; until it is there in the other role it drains, ends and comes again.
  void change_role(const NodeId& node, control::Role to, Done<void> done);
  /// Measures a link with a few blocks of this size; 0: the largest.
  void probe_path(const LinkProbes::Link& l, const std::string& data_address, std::uint32_t block_bytes,
                  Done<control::LinkReport> done);

 private:
  [[nodiscard]] control::ReserveRequest reserve_request(const Session& s) const;

  NodeRegistry& registry_;
  const ClusterView& view_;
  double lifetime_s_;
  const PrefixSight& prefixes_;
};

}  // namespace sluice::coordinator
