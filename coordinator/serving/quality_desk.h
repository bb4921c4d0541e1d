#pragma once
// Listens to quality probes and acts on them: what budgets are compared with, who is probed, who tries a profile that
// was left. Owns the QualityWatch; writes the profiles' KL in the cluster's view.
// Threading: the coordinator's io_context thread. Answers that make no sense are dropped.
#include <functional>

#include "common/metrics.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/quality_watch.h"
#include "coordinator/serving/decision_log.h"

namespace sluice::coordinator {

class QualityDesk {
 public:
  struct Uses {
    ClusterView& view;
    Placement& placement;
    DecisionLog& log;
    Metrics& metrics;
    const Clock& clock;
    std::function<void()> changed;  // a profile was left or taken back
  };
  QualityDesk(Uses u, const QualityWatchOptions& o);

  /// Follows the profiles of the nodes that are here; what was learned of other ones, or of another model, is dropped.
  void on_node_up();
  void on_probe_result(const NodeId& node, const nlohmann::json& body);
  /// Whether a leg that was placed with this profile is probed; call once for each.
  [[nodiscard]] bool wants_probe(std::string_view profile) { return watch_.wants_probe(profile); }
  /// A request that can go now may try a profile that was left, to see whether it keeps its quality again. Where that
  /// cannot start in time, its own choice stands: nobody is refused, or kept waiting, for a trial.
  void try_left_profile(const ClusterSnapshot& c, RequestFeatures f, double deadline_s, Decision& d, TimePoint now);

  /// Placement and metrics see what the watch thinks.
  void show();

  [[nodiscard]] QualityWatch& watch() noexcept { return watch_; }
  [[nodiscard]] const QualityWatch& watch() const noexcept { return watch_; }

 private:
  Uses use_;
  QualityWatch watch_;
  Gauges drift_, stated_;
  Histograms kl_;
  Counters top1_;
};

}  // namespace sluice::coordinator
