#pragma once
// Gets a leg onto nodes: from the intake's decision over room on the decode node to an accepted prompt on the prefill
// node, and again when a node fails it. Writes the leg's Attempt.
//
// Threading: the coordinator's io_context thread. Failure: what another placement may heal is placed again, at most
// kMaxResumes times (token-exact: the same profile, on nodes that compute the same bits, sent tokens replayed);
// everything else ends the leg. Late answers to earlier attempts are ignored.
#include <boost/asio/io_context.hpp>

#include "common/log_gate.h"
#include "coordinator/serving/kv_changes.h"
#include "coordinator/serving/leg_endings.h"
#include "coordinator/serving/node_calls.h"
#include "coordinator/serving/quality_desk.h"

namespace sluice::coordinator {

class LegMoves;

inline constexpr int kMaxResumes = 3;
/// Times that decode nodes may give a leg back, whatever they were told; after that each costs a try.
inline constexpr int kMostReturns = 8;

class LegPlacer final : public IntakeHost {
 public:
  struct Uses {
    boost::asio::io_context& io;
    const Clock& clock;
    ClusterView& view;
    Placement& placement;
    LegTable& legs;
    Intake& intake;
    LegAccount& account;
    KvChanges& changes;
    QualityDesk& quality;
    NodeCalls& calls;
    LegEndings& endings;
    LegMoves& moves;
    const PrefixSight& prefixes;
    ServingMetrics& figures;
    bool local_prefill;  // decode nodes may compute prompts that do not ask for it
  };
  explicit LegPlacer(const Uses& u) : use_(u) {}

  /// To the intake, for the first time or again.
  void place(const SessionPtr& s);
  /// The present attempt failed: another one, or the end.
  void again(const SessionPtr& s, const Error& why);
  /// Takes back what the present attempt holds, on the nodes and in our account.
  void undo(const SessionPtr& s);
  /// Nothing has been computed for it, and its decode node is to go: placed again, which costs it no try.
  void elsewhere(const SessionPtr& s);
  /// Its decode node has no room for it any more: placed again, before those that came after it.
  void preempted(const SessionPtr& s);
  /// The decode node is told that nobody waits for it; what it holds there is free once it has let go.
  void let_go(const NodeId& decode, RequestId id, const DecodePlace& place);
  /// The answer is whole before its end, and its prompt's log-probabilities are not here yet: only the decode node may
  /// stop.
  void wait_for_rating(const SessionPtr& s);

 private:
  void undo_decode(const SessionPtr& s);
  void log_failure(const Session& s, const Error& why);
  [[nodiscard]] Applicant applicant(const Session& s) const;
  /// A node had no room: back to the intake in a moment. It costs no try, but not more time than the leg may wait.
  void place_later(const SessionPtr& s, const Error& why);
  static void shorten(Session& s, std::uint64_t largest);
  // What the intake asks, and what it decides.
  RequestFeatures features(RequestId id, TimePoint now) override;
  const ClusterSnapshot& cluster() override { return use_.view.snapshot(); }
  const ClusterSnapshot& cluster_for(RequestId id) override;
  OccupantsOf occupants(TimePoint now) override { return use_.legs.occupants(use_.view, now); }
  Placed decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override;
  void go(RequestId id, const ClusterSnapshot& c, const Decision& d) override;
  void refuse(RequestId id, Refused why, const Refusal& r) override;

  void fill(Session& s, const ClusterSnapshot& c, const Decision& d);
  void remember_bits(Session& s) const;
  void reserve(const SessionPtr& s);
  void prefill(const SessionPtr& s, control::ReserveReply ticket);

  Uses use_;
  LogGate full_;     // legs that a node had no room for
  PrefixHits hits_;  // of the leg that is being decided
};

}  // namespace sluice::coordinator
