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
    const Intake& intake;  // knows how long answers are
  };
  explicit LegAccount(const Uses& u) : use_(u) {}

  /// What it asks of a node now.
  [[nodiscard]] RequestFeatures asks(const Session& s) const { return s.asks_now(use_.intake.lengths()); }
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
  /// A token came: where the node's sequences grow, now and then it holds another block.
  void grew(Session& s) {
    if (s.run.place.grows_at > 0 && s.asked.features.prompt_tokens + s.answer.emitted.size() >= s.run.place.grows_at)
      grow(s);
  }
  /// Its place on the decode node is free.
  void release(const Session& s) { use_.view.release(s.run.decode, s.run.place); }
  /// A place on a node, to be free once the node has let go of it; nothing when another process has taken the node's
  /// name.
  [[nodiscard]] std::function<void()> release_later(const NodeId& decode, const DecodePlace& place);
  /// The leg is to move: its place on the target is taken.
  void take_target(Session& s);
  /// What other coordinators' legs are expected to hold, from what nodes told of them last.
  void expect_others();

 private:
  /// What the leg would hold on a node now.
  [[nodiscard]] DecodePlace place(const Session& s, const NodeId& decode) const;
  void grow(Session& s);
  void end_prefill(Session& s);
  void end_local(Session& s);
  Uses use_;
};

}  // namespace sluice::coordinator
