#pragma once
// OpenMetrics 1.0.0 text of metrics, which prometheus-cpp does not write; it is the format that has exemplars.
// What differs from Prometheus' own format: a counter's family has no `_total`, its sample has; numbers of `le` are
// floats ("1.0"); a quote in a HELP is escaped; `# EOF` is the last line. Pure. Used by common/metrics.
#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

enum class OpenMetricsType { counter, gauge, histogram };

/// An observation that is named; an empty value: none was.
struct KeptExemplar {
  std::string label, value;
  double sample = 0;
  std::chrono::system_clock::time_point at{};
};

struct OpenMetricsSeries {
  struct Bucket {
    double upper_bound = 0;  // the last one's is infinite
    std::uint64_t cumulative_count = 0;
  };
  std::map<std::string, std::string> labels;
  double value = 0;  // of a histogram: the sum of what was observed
  std::vector<Bucket> buckets;
  std::vector<KeptExemplar> exemplars;  // one a bucket, or none at all
};

struct OpenMetricsFamily {
  std::string name;  // as Prometheus' format has it
  std::string help;
  OpenMetricsType type = OpenMetricsType::gauge;
  std::vector<OpenMetricsSeries> series;
};

[[nodiscard]] std::string to_openmetrics(std::span<const OpenMetricsFamily> families);

inline constexpr std::string_view kOpenMetricsMediaType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether an Accept header asks for OpenMetrics rather than for Prometheus' text.
[[nodiscard]] bool prefers_openmetrics(std::string_view accept);

}  // namespace sluice
