#pragma once
// Moves legs between decode nodes while they decode (docs/adr/0011): one move of a leg from its start to its end. Who
// moves where is decided by others (MoveDesk).
//
//   start: room at the target -> `move` at the source -> it halts -> `go_on` at the target -> its first token
//
// The client's tokens come from one node at a time, in order of their index: the source's until it halts, then the
// target's. The source lets go once the target has begun; until then whatever fails at the target ends in `stay`, and
// the source goes on. If the source fails, the target goes on where it has all of the KV, else the leg is placed again.
// Each end gives the target's place back or makes it the leg's own.
//
// Threading: the coordinator's io_context thread. Failure: never ends a leg by itself but through LegPlacer::again().
#include <vector>

#include "coordinator/policy/move_times.h"
#include "coordinator/serving/leg_placer.h"
#include "coordinator/serving/move_metrics.h"

namespace sluice::coordinator {

class LegMoves {
 public:
  struct Uses {
    LegTable& legs;
    LegAccount& account;
    ClusterView& view;
    NodeCalls& calls;
    LegPlacer& placer;
    MoveMetrics& figures;
    const Clock& clock;
  };
  using Done = std::function<void(Result<>)>;
  explicit LegMoves(const Uses& u) : use_(u) {}

  /// Whether the leg could go there at any time: its bits, its form, what the node can do.
  [[nodiscard]] Result<> suits(const Session& s, const NodeId& target) const;
  /// Whether it can move now, wherever: it decodes, and nothing of its prefill is to come.
  [[nodiscard]] static Result<> ready(const Session& s);
  /// Begins a move. `done` comes once it is over, or at once with why it cannot be.
  void start(const SessionPtr& s, const NodeId& target, MoveReason why, Done done = {});
  /// The leg ends, or is placed again: if it moves, the target lets go. The source is another's concern.
  void drop(const SessionPtr& s, MoveOutcome how);

  /// Whether the client gets this token of that node. The first one of a target makes it the leg's node.
  [[nodiscard]] bool admits(const SessionPtr& s, const NodeId& node, std::uint32_t index);
  void on_halted(const NodeId& node, const control::Halted& m);
  void on_moved(const NodeId& node, const control::Moved& m);
  /// False: not of a target.
  bool on_kv_ready(const SessionPtr& s, const NodeId& node);
  /// The node says that the leg has ended there. True: nothing more is to be done about it.
  bool on_finished(const SessionPtr& s, const NodeId& node, const control::Finished& m);
  void on_node_lost(const NodeId& node);
  /// Now and then: ends those that take too long.
  void sweep();

  /// Seconds that a copy of so many positions would take now.
  [[nodiscard]] double copy_s(const NodeId& from, const NodeId& to, double positions);
  [[nodiscard]] std::size_t under_way() const noexcept { return moving_.size(); }

 private:
  struct Way {
    std::string profile;
    double wire_bytes = 0, copy_s = 0;
  };
  [[nodiscard]] Way way(const NodeId& from, const NodeId& to, double positions);
  [[nodiscard]] double told_bps(const NodeId& from, const NodeId& to);
  [[nodiscard]] double step_s(const Session& s) const;
  [[nodiscard]] Result<> plan(Session& s);
  void reserve(const SessionPtr& s);
  void copy(const SessionPtr& s, control::ReserveReply ticket);
  void retry(const SessionPtr& s);
  /// It is the target's from now on; the source lets go. begun: the target's first token is here.
  void switch_over(const SessionPtr& s, bool begun);
  void measure(Session& s) const;
  /// It stays where it is: the target lets go, the source goes on.
  void stay(const SessionPtr& s, MoveOutcome how, const Error& why);
  void call_off(const SessionPtr& s);
  /// Takes the move out of the leg, and tells whoever waits for it.
  Moving end(const SessionPtr& s, MoveOutcome how, const Result<>& said);
  [[nodiscard]] std::vector<SessionPtr> moving() const;
  [[nodiscard]] static bool is(const Session& s, std::uint32_t attempt) noexcept {
    return s.moves.now && s.moves.now->attempt == attempt;
  }

  Uses use_;
  MoveTimes times_;
  std::vector<RequestId> moving_;
};

}  // namespace sluice::coordinator
