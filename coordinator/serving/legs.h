#pragma once
// The legs from their start to their end: takes them in, lets go of those that are cancelled, late or on a lost node,
// and holds together those who move them (placer, events, endings). Owns the table, the queue and the right to refuse
// everybody (draining).
//
// Threading: the coordinator's io_context thread; nothing here blocks. Failure: every leg ends in exactly one terminal
// event.
#include "coordinator/policy/slo_book.h"
#include "coordinator/serving/leg_events.h"
#include "coordinator/serving/move_desk.h"
#include "coordinator/serving/role_desk.h"

namespace sluice::coordinator {

class Legs {
 public:
  struct Uses {
    boost::asio::io_context& io;
    const Clock& clock;
    ClusterView& view;
    Placement& placement;
    const SloBook& slos;
    LinkWatch& links;
    QualityDesk& quality;
    NodeCalls& calls;
    const PrefixSight& prefixes;
    DecisionLog& log;
    ServingMetrics& figures;
    RoleDesk& roles;
    MoveMetrics& move_figures;
  };
  struct Options {
    IntakeOptions intake;
    MoverOptions mover;
    bool profile_changes = true;  // see KvChanges
    bool local_prefill = true;    // see LegPlacer
    control::LegSpace ids;
  };
  Legs(const Uses& u, const Options& o);
  Legs(const Legs&) = delete;  // the parts refer to each other
  Legs& operator=(const Legs&) = delete;

  RequestId start(LegSpec spec, std::shared_ptr<LegSink> sink);
  void cancel(RequestId id, CancelReason reason);

  void on_node_up() { intake_.pump(use_.clock.now()); }
  void on_node_lost(const NodeId& node);
  /// False: a message that is about no leg.
  bool on_event(const NodeId& node, const std::string& type, const nlohmann::json& body) {
    return events_.on_event(node, type, body);
  }
  void on_tokens(const NodeId& node, const control::Tokens& m) { events_.on_tokens(node, m); }
  /// Now and then: ends those whose time is up, and places those who wait and have room.
  void sweep();
  /// A node begins to drain.
  void on_drain() { desk_.sweep(); }
  [[nodiscard]] MoveDesk& desk() noexcept { return desk_; }

  /// New legs are refused; running ones go on.
  void begin_drain() noexcept { draining_ = true; }
  [[nodiscard]] bool draining() const noexcept { return draining_; }
  [[nodiscard]] LegCounts counts() const { return table_.counts(use_.view); }
  [[nodiscard]] std::size_t active() const noexcept { return table_.size(); }
  [[nodiscard]] OutputLengths& lengths() noexcept { return intake_.lengths(); }

 private:
  [[nodiscard]] Asked asked(LegSpec spec, const Slo& slo) const;

  Uses use_;
  double lifetime_s_;
  bool draining_ = false;
  LegTable table_;
  LegAccount account_;
  KvChanges changes_;
  LegPlacer placer_;
  Intake intake_;
  LegEndings endings_;
  LegMoves moves_;
  MoveDesk desk_;
  LegEvents events_;
};

}  // namespace sluice::coordinator
