#pragma once
// What a ramp of rates says: up to which rate the objectives are kept. Pure.
#include <optional>
#include <vector>

#include "coordinator/ctl/load/stats.h"

namespace sluice::ctl::load {

/// One rate of a test, or all of it where there is no ramp.
struct Step {
  double rate = 0;  // asked for, per second; 0: a closed loop
  LoadSummary summary;
};

struct Knee {
  double rate = 0;                   // the last one whose attainment reaches the share
  double goodput = 0;                // there, requests per second
  std::optional<double> crossing{};  // where attainment falls through the share, between two rates measured
  bool all_kept = false;             // no rate was too much: the knee lies beyond
};
/// Steps in ascending order of rate. Nothing where there is no objective, or even the first rate fails.
[[nodiscard]] std::optional<Knee> knee_of(const std::vector<Step>& steps, double share);

}  // namespace sluice::ctl::load
