#pragma once
// The coordinator's metrics under Sluice's names; VllmMetrics tells the same events under vLLM's.
// Threading: as Metrics.
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/metrics.h"
#include "coordinator/cluster/cluster_view.h"
#include "coordinator/policy/slo_book.h"
#include "coordinator/serving/leg_table.h"
#include "coordinator/serving/vllm_metrics.h"

namespace sluice::coordinator {

/// Stages of a request, as a label names them.
inline constexpr std::array<const char*, 8> kStages{"queue",  "prefill", "encode",      "wire",
                                                    "decode", "exposed", "local_queue", "local"};

class ServingMetrics {
 public:
  /// max_model_len: the most tokens that a request can come to.
  ServingMetrics(Metrics& m, const std::string& model, double max_model_len);
  void on_decision(const Session& s);
  /// Its nodes failed it, and it is placed again.
  void on_resume() noexcept { resumes_.add(); }
  /// A prefill node told how much of a prompt it looked for in its cache, and how much was there.
  void on_prefix(double queried_tokens, double hit_tokens) { vllm_.on_prefix(queried_tokens, hit_tokens); }
  void on_first_token(const Session& s);
  void on_token_gap(const Session& s, double seconds);
  void on_end(const Session& s, std::string_view outcome, double e2e_s);
  void on_profile_change(const Session& s);
  void on_refused(Refused why, std::string_view code);
  /// Gauges; called before each exposition.
  void refresh(const ClusterView& view, const LegCounts& legs, const SloBook& slos) const;

 private:
  /// Series of an objective of a class.
  struct Kept {
    Counter met, missed;
  };
  void on_finished(const Session& s, double e2e_s);
  [[nodiscard]] const std::vector<Kept>& kept(const std::string& slo_class);
  void count_slo(const Session& s);
  [[nodiscard]] const Histogram& stage(std::size_t i);
  void show_promises(const SloBook& slos) const;
  void show_forecast(const NodeRecord& n) const;

  Histogram ttft_, tpot_, itl_, e2e_, ttft_error_, tpot_error_, ttft_predicted_, tpot_predicted_;
  Histograms stages_;
  std::array<std::optional<Histogram>, kStages.size()> stage_;  // its series, each from its first request on
  Gauge waiting_, running_, prefill_nodes_, decode_nodes_, prefix_blocks_;
  Counter prompt_, output_, resumes_;
  Counters computed_, local_;
  Counters decisions_, ended_, raw_bytes_, wire_bytes_, slo_, objectives_, changes_, early_, refused_;
  Gauges promised_share_, promised_seconds_, expected_share_, margin_share_;
  std::map<std::string, std::vector<Kept>> kept_;  // of a class that the operator named: both, TTFT, TPOT
  VllmMetrics vllm_;
};

}  // namespace sluice::coordinator
