#pragma once
// What legs hold of nodes and links, in this coordinator's own account (docs/adr/0004): in the cluster's view, in the
// model's, and in the link watch. Each take() has one end on either side. Its state is in those three and in the leg's
// Attempt. Threading: the coordinator's io_context thread.
#include "coordinator/policy/placement.h"
#include "coordinator/serving/link_watch.h"
#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class LegAccount {
 public:
  struct Uses {
    ClusterView& view;
    Placement& placement;
    LinkWatch& links;
    const Clock& clock;
  };
  explicit LegAccount(const Uses& u) : use_(u) {}

  /// The leg's attempt was decided: both nodes and their link are taken.
  void take(Session& s);
  /// The prefill node has reported: what it measured is taken up.
  void prefill_done(Session& s);
  /// No report of this prefill is expected any more.
  void prefill_dropped(Session& s);
  /// Its first token is out: the decode node has computed what it had to of the prompt. Nothing when that was none.
  void local_done(Session& s);
  /// It will not any more.
  void local_dropped(Session& s);
  /// Its place on the decode node is free.
  void release(const Session& s) { use_.view.release(s.run.decode, s.run.blocks); }
  /// A place on a node, to be free once the node has let go of it; nothing when another process has taken the node's
  /// name.
  [[nodiscard]] std::function<void()> release_later(const NodeId& decode, std::uint32_t blocks);
  /// The leg is to move: its place on the target is taken.
  void take_target(const Session& s) { use_.view.assign(NodeId(), 0, s.moves.now->target, s.moves.now->blocks); }

 private:
  void end_prefill(Session& s);
  void end_local(Session& s);
  Uses use_;
};

}  // namespace sluice::coordinator
