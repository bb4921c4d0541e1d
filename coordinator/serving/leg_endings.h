#pragma once
// How legs end: the one terminal event, what is learned from it, and what is counted, logged and remembered of it.
// Threading: the coordinator's io_context thread; sinks are called from here and may start and cancel legs.
#include "coordinator/serving/decision_log.h"
#include "coordinator/serving/leg_account.h"
#include "coordinator/serving/leg_table.h"
#include "coordinator/serving/role_desk.h"
#include "coordinator/serving/serving_metrics.h"

namespace sluice::coordinator {

class LegEndings {
 public:
  struct Uses {
    LegTable& legs;
    LegAccount& account;
    Intake& intake;
    Placement& placement;
    const ClusterView& view;
    DecisionLog& log;
    ServingMetrics& figures;
    const Clock& clock;
    RoleDesk& roles;
  };
  explicit LegEndings(const Uses& u) : use_(u) {}

  /// The answer is whole; its figures are here, or will not come. An error where the prompt's log-probabilities are
  /// not.
  void complete(const SessionPtr& s);
  /// The state is `ended` already. Others may have room then.
  void finish(const SessionPtr& s, LegEnd how, std::string_view outcome);
  /// Ends it with an error; nothing is held on nodes any more. Ignored for one that has ended.
  void fail(const SessionPtr& s, const Error& e, std::optional<double> retry_after_s);
  /// Teaches the policies from a leg that ran undisturbed.
  void learn(const Session& s);

 private:
  void record(const SessionPtr& s, std::string_view outcome);
  Uses use_;
};

}  // namespace sluice::coordinator
