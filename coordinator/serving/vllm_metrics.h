#pragma once
// The coordinator's metrics under the names, types, labels and buckets of vLLM, old and new, so that dashboards and
// schedulers made for it work. Only what Sluice measures: nothing is there to fill a name.
// Threading: as Metrics.
#include <cstdint>
#include <string>

#include "common/metrics.h"
#include "coordinator/serving/leg_table.h"

namespace sluice::coordinator {

class VllmMetrics {
 public:
  VllmMetrics(Metrics& m, const std::string& model, double max_model_len);
  void on_prompt(double tokens) const { prompt_.add(tokens); }
  void on_prefix(double queried_tokens, double hit_tokens) const {
    prefix_queries_.add(queried_tokens);
    prefix_hits_.add(hit_tokens);
  }
  void on_first_token(const Session& s, double ttft_s) const;
  void on_token_gap(const Session& s, double seconds) const;
  /// outcome: as LegEndings has it.
  void on_end(const Session& s, std::string_view outcome, double e2e_s) const;
  /// The decode nodes' KV memory.
  struct KvCache {
    std::uint64_t blocks = 0, used = 0;
    std::uint32_t block_size = 0;  // tokens; 0: no decode node is here
  };
  /// Gauges, and what nodes count.
  void refresh(const LegCounts& legs, const KvCache& kv, std::uint64_t preemptions) const;

 private:
  void on_phases(const Session& s) const;

  Labels model_;
  Gauge waiting_, running_, kv_usage_, kv_usage_old_;
  Gauges cache_;
  Counter prompt_, generation_, preemptions_, prefix_queries_, prefix_hits_;
  Counters success_;
  Histogram ttft_, itl_, itl_old_, tpot_, e2e_;
  Histogram queue_, prefill_, decode_, inference_;
  Histogram prompt_tokens_, generation_tokens_;
};

}  // namespace sluice::coordinator
