#pragma once
// What a load test measured, summed up as vLLM's benchmark does: same names, same definitions.
//   TTFT: start to first token. TPOT: (end - first token) / (output tokens - 1). ITL: between consecutive pieces.
//   E2EL: start to end. Goodput: requests per second that met every objective given. SLO attainment: their share of
//   all.
// A request starts when it is sent; in an open loop when it was due, so that waiting behind a slow server counts
// (coordinated omission). Pure.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::ctl::load {

/// What Sluice said of how it answered.
struct Explained {
  std::string profile;
  std::uint64_t kv_raw_bytes = 0, kv_wire_bytes = 0;
  std::optional<double> ttft_ms, predicted_ttft_ms;
};

struct RequestResult {
  std::string error;  // empty: it completed
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  double ttft_ms = 0;
  double e2el_ms = 0;
  std::vector<float> itl_ms;
  std::string error_kind;  // "HTTP 429", "timeout", ...
  double start_s = 0;      // after the test's start
  bool usage = false;      // the server counted the tokens
  bool clipped = false;    // to the model's context
  std::optional<Explained> explained;

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
/// The same of values in ascending order.
[[nodiscard]] double percentile_of_sorted(const std::vector<double>& sorted, double p);

/// Latencies of one kind; sorted.
struct Latencies {
  std::vector<double> sorted;
  double mean = 0;
  [[nodiscard]] double at(double p) const { return percentile_of_sorted(sorted, p); }
};

/// A stretch of the test.
struct Slice {
  double from_s = 0, to_s = 0;
  std::size_t started = 0;                                                    // completed requests that began in it
  double ttft_p50_ms = 0, ttft_p95_ms = 0, tpot_p50_ms = 0, tpot_p95_ms = 0;  // of those
  double output_tokens = 0;                                                   // that came in it
};

/// What KV did on its way, summed over what Sluice explained.
struct KvSummary {
  std::size_t requests = 0;
  std::map<std::string, std::size_t> profiles;  // requests by profile
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::vector<double> prediction_errors;  // |predicted - actual| / actual TTFT, sorted
};

/// What the test itself cost, to show that it was not what was measured.
struct ClientCost {
  double cpu_s = 0;
};

struct LoadSummary {
  std::size_t completed = 0;
  std::size_t failed = 0;
  std::size_t clipped = 0;
  double duration_s = 0;
  double latest_start_ms = 0;  // how far behind its plan the generator fell
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::size_t without_usage = 0;  // completed requests whose tokens were counted by chunks
  Goodput goal;
  std::size_t good = 0;  // requests that met every objective
  Latencies ttft, tpot, itl, e2el;
  std::map<std::string, std::size_t> errors;  // by kind
  std::string first_error;
  std::vector<Slice> slices;
  KvSummary kv;
  ClientCost client;

  [[nodiscard]] double per_second(double count) const { return duration_s > 0 ? count / duration_s : 0; }
  [[nodiscard]] std::optional<double> request_goodput() const;  // with objectives
  [[nodiscard]] std::optional<double> attainment() const;       // with objectives and requests
  [[nodiscard]] double cpu_us_per_token() const;
  /// Of one core: the client has one thread.
  [[nodiscard]] double cpu_share() const { return per_second(client.cpu_s); }
};
[[nodiscard]] LoadSummary summarize(const std::vector<RequestResult>& results, double duration_s, const Goodput& goal);

}  // namespace sluice::ctl::load
