#pragma once
// The coordinator's metrics under Sluice's names; VllmMetrics tells the same events under vLLM's.
// Threading: as Metrics.
#include "common/metrics.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/slo_book.h"
#include "coordinator/serving/leg_table.h"
#include "coordinator/serving/vllm_metrics.h"

namespace sluice::coordinator {

class ServingMetrics {
 public:
  /// max_model_len: the most tokens that a request can come to.
  ServingMetrics(Metrics& m, const std::string& model, double max_model_len);
  void on_decision(const Session& s);
  /// Its nodes failed it, and it is placed again.
  void on_resume() noexcept { resumes_.add(); }
  void on_first_token(const Session& s);
  void on_token_gap(const Session& s, double seconds);
  void on_end(const Session& s, std::string_view outcome, double e2e_s);
  void on_profile_change(const Session& s);
  void on_refused(Refused why, std::string_view code);
  /// Gauges; called before each exposition.
  void refresh(const ClusterView& view, const LegCounts& legs, const SloBook& slos) const;

 private:
  void on_finished(const Session& s, double e2e_s);
  void count_slo(const Session& s);
  void show_promises(const SloBook& slos) const;
  void show_forecast(const NodeRecord& n) const;

  Histogram ttft_, tpot_, itl_, e2e_, ttft_error_, tpot_error_, ttft_predicted_, tpot_predicted_;
  Histograms stages_;
  Gauge waiting_, running_, prefill_nodes_, decode_nodes_;
  Counter prompt_, output_, resumes_;
  Counters computed_, local_;
  Counters decisions_, ended_, raw_bytes_, wire_bytes_, slo_, objectives_, changes_, early_, refused_;
  Gauges promised_share_, promised_seconds_, expected_share_, margin_share_;
  VllmMetrics vllm_;
};

}  // namespace sluice::coordinator
