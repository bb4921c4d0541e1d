#pragma once
// The process's Prometheus metrics, by prometheus-cpp. Names follow the contract: prefix `sluice_`, base units.
// Threading: thread-safe. Returned references live as long as the Metrics object.
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

namespace sluice {

using Labels = std::map<std::string, std::string>;

/// Bucket bounds in seconds, after vLLM's TTFT histogram, so that dashboards made for it line up.
[[nodiscard]] const std::vector<double>& ttft_buckets();
/// Bucket bounds in seconds for inter-token times; finer below 10 ms than vLLM's, for small models.
[[nodiscard]] const std::vector<double>& tpot_buckets();
/// Bucket bounds in seconds for the stages of a P/D request (100 us to 10 s).
[[nodiscard]] const std::vector<double>& stage_buckets();

class Metrics {
 public:
  Metrics();
  [[nodiscard]] prometheus::Counter& counter(const std::string& name, const std::string& help,
                                             const Labels& labels = {});
  [[nodiscard]] prometheus::Gauge& gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  [[nodiscard]] prometheus::Histogram& histogram(const std::string& name, const std::string& help,
                                                 const std::vector<double>& buckets, const Labels& labels = {});
  /// The exposition text of everything registered.
  [[nodiscard]] std::string text() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
};

}  // namespace sluice
