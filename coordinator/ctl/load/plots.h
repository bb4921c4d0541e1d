#pragma once
// The report's charts. Pure.
#include <string>
#include <vector>

#include "common/svg/chart.h"
#include "coordinator/ctl/load/ramp.h"

namespace sluice::ctl::load {

/// The share of requests whose latency was at most x; a line for each step.
[[nodiscard]] svg::Chart cdf_chart(const std::vector<Step>& steps, Latencies LoadSummary::* which, std::string title,
                                   const std::optional<double>& objective_ms);
/// Median and 95th percentile by when requests started.
[[nodiscard]] svg::Chart latency_over_time(const LoadSummary& s, bool tpot, std::string title);
[[nodiscard]] svg::Chart throughput_over_time(const LoadSummary& s);
/// Completed, and within the objectives, beside what was asked for.
[[nodiscard]] svg::Chart ramp_chart(const std::vector<Step>& steps);
[[nodiscard]] svg::Chart attainment_chart(const std::vector<Step>& steps, double share);

}  // namespace sluice::ctl::load
