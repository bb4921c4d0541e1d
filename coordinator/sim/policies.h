#pragma once
// Who decides in a simulation: Sluice's own placement, and the comparators it is measured against. A comparator picks
// the profile by its rule and leaves the pair of nodes to Sluice's placement, so that what is compared is the rule.
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "coordinator/policy/placement.h"

namespace sluice::sim {

class Policy {
 public:
  virtual ~Policy() = default;
  virtual coordinator::Placed decide(const coordinator::ClusterSnapshot& c, coordinator::RequestFeatures& r,
                                     double deadline_s, TimePoint now) = 0;
  virtual void finished(const coordinator::Candidate& k, const coordinator::Measured& m, bool met, TimePoint now) = 0;
  /// Whether a sender may change to a tighter profile in mid-transfer (common/tightening).
  [[nodiscard]] virtual bool changes_in_transfer() const { return false; }
  [[nodiscard]] coordinator::Placement& placement() noexcept { return placement_; }

 protected:
  explicit Policy(const coordinator::ControllerOptions& o) : placement_(o) {}
  coordinator::Placement placement_;
};

/// "sluice"; "sluice-fast" (without its preference for quality among equals); "sluice-keep" (without changes of the
/// profile in mid-transfer); "sluice-split" and "sluice-local" (every prompt on a prefill node, or where it is
/// decoded); "static:PROFILE"; "break-even" (KVServe's threshold, B* = (1 - 1/r) S, from the tables); "kvserve"
/// (analytical sum of stages, epsilon-greedy, EWMA of the residual with eta 0.3, rest after three misses);
/// "kvserve-alone" (the same on the least loaded nodes, without Sluice's placement); "ucb1".
[[nodiscard]] Result<std::unique_ptr<Policy>> make_policy(const std::string& name,
                                                          const coordinator::ControllerOptions& o);
[[nodiscard]] const std::vector<std::string>& learned_policies();

}  // namespace sluice::sim
