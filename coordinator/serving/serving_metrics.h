#pragma once
// The coordinator's metrics, under Sluice's names and the vLLM names that existing dashboards and schedulers read.
// Threading: as Metrics.
#include "common/metrics.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/serving/leg_table.h"

namespace sluice::coordinator {

class ServingMetrics {
 public:
  ServingMetrics(Metrics& m, std::string model);
  void on_decision(const Session& s);
  void on_first_token(const Session& s);
  void on_token_gap(double seconds);
  void on_end(const Session& s, std::string_view outcome, double e2e_s);
  void on_profile_change(const Session& s);
  void on_refused(Refused why, std::string_view code);
  /// Gauges; called before each exposition.
  void refresh(const ClusterView& view, const LegCounts& legs) const;

 private:
  Metrics& metrics_;
  std::string model_;
  Labels alias_;  // model_name label of the vLLM aliases
  prometheus::Histogram &ttft_, &tpot_, &itl_, &e2e_, &v_ttft_, &v_tpot_, &v_itl_, &v_e2e_, &error_, &tpot_error_;
  prometheus::Gauge &waiting_, &running_, &v_waiting_, &v_running_, &v_cache_;
  prometheus::Counter &prompt_, &output_, &v_prompt_, &v_output_, &resumes_;
};

}  // namespace sluice::coordinator
