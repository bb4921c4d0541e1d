#pragma once
// What a load test measured, summed up as vLLM's benchmark does: same names, same definitions.
//   TTFT: sent to first token. TPOT: (end - first token) / (output tokens - 1). ITL: between consecutive pieces.
//   E2EL: sent to end. Goodput: requests per second that met every objective given.
// Pure.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::ctl {

struct RequestResult {
  std::string error;  // empty: it completed
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  double ttft_ms = 0;
  double e2el_ms = 0;
  std::vector<double> itl_ms;

  /// Needs two tokens.
  [[nodiscard]] std::optional<double> tpot_ms() const;
};

/// Objectives a request must meet to count as goodput, in ms.
struct Goodput {
  std::optional<double> ttft, tpot, e2el;
  [[nodiscard]] bool any() const { return ttft || tpot || e2el; }
  [[nodiscard]] bool met_by(const RequestResult& r) const;
};
/// From "ttft:500", "tpot:50", "e2el:2000".
[[nodiscard]] Result<Goodput> parse_goodput(const std::vector<std::string>& settings);

/// The p-th percentile (0..100) with linear interpolation, as numpy does; 0 for no values.
[[nodiscard]] double percentile(std::vector<double> values, double p);

struct BenchSummary {
  std::size_t completed = 0;
  std::size_t failed = 0;
  std::size_t clipped = 0;
  double duration_s = 0;
  double latest_start_ms = 0;  // how far behind its plan the generator fell
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::optional<double> request_goodput;
  std::vector<double> ttft_ms, tpot_ms, itl_ms, e2el_ms;
  std::string first_error;
};
[[nodiscard]] BenchSummary summarize(const std::vector<RequestResult>& results, double duration_s, const Goodput& goal);

[[nodiscard]] nlohmann::json bench_json(const BenchSummary& s);
[[nodiscard]] std::string bench_text(const BenchSummary& s);

}  // namespace sluice::ctl
