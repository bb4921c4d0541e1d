#pragma once
// What a simulation says, in figures: percentiles, SLO attainment, goodput, bytes saved, regret; as JSON and as SVG.
// Pure but for write_file.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/svg/chart.h"
#include "coordinator/sim/cluster_sim.h"

namespace sluice::sim {

struct Summary {
  std::size_t requests = 0, refused = 0, rejected = 0;  // rejected: those of the refused that admission refused early
  double ttft_mean_s = 0, ttft_p50_s = 0, ttft_p90_s = 0, ttft_p99_s = 0;
  double tpot_p50_s = 0, tpot_p99_s = 0, e2e_mean_s = 0, e2e_p50_s = 0, e2e_p99_s = 0;
  double attainment = 0;     // of all requests, refused ones included
  double goodput_per_s = 0;  // requests that met both objectives, per second of the load
  double goodput_per_node_s = 0;
  double bytes_saved = 0;          // share of the raw KV bytes
  double kl_mean = 0;              // quality spent: mean KL of the profiles, nats per token
  double prediction_error = 0;     // median of |actual - predicted| / actual TTFT
  double explored = 0;             // share of decisions
  double local = 0, cut = 0;       // share of requests computed where they were decoded: whole, or from a cut on
  double had = 0, oracle_had = 0;  // share of prompt tokens that prefill nodes had; that CacheOracle had
};

[[nodiscard]] Summary summarize(const SimResult& r, std::size_t nodes);
[[nodiscard]] nlohmann::json to_json(const Summary& s);
/// Share of requests by profile.
[[nodiscard]] nlohmann::json profile_shares(const SimResult& r, const std::vector<ProfileSpec>& profiles);

/// Mean TTFT of the requests that arrived in each interval of `width_s`; a refused request counts as `refused_s`.
/// Intervals without a request are NaN.
[[nodiscard]] std::vector<double> by_interval(const SimResult& r, double width_s, double refused_s);

/// Mean over intervals (weighted by nothing) of own / best - 1, where best is the least of `others` in each interval.
[[nodiscard]] double regret(const std::vector<double>& own, const std::vector<std::vector<double>>& others);

using svg::Chart;
using svg::Line;
using svg::to_svg;
[[nodiscard]] Result<> write_file(const std::string& path, const std::string& text);

}  // namespace sluice::sim
