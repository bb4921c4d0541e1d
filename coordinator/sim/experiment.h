#pragma once
// Perturbations by name, and policies compared under them over several seeds.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/report.h"

namespace sluice::sim {

/// What a file of perturbations registers (docs/evidence/perturbations.json): a base cluster and load, and scenarios
/// that change it. Everything a result depends on stands in it.
struct Experiment {
  nlohmann::json base;
  std::vector<nlohmann::json> scenarios;  // each with a "name"
  std::vector<std::string> policies;
  std::vector<std::uint64_t> seeds;
  double interval_s = 5;  // of the oracle
  // Of these policies and over the first so many seeds: the highest rate at which the share meets both objectives.
  double goodput_attainment = 0.9;
  std::size_t goodput_seeds = 10;
  std::vector<std::string> goodput_policies;
};

[[nodiscard]] Result<Experiment> parse_experiment(const nlohmann::json& j);

struct Scenario {
  ClusterSpec cluster;
  LoadSpec load;
};
/// The base with one scenario's changes, for one seed. Unknown fields are refused by name.
[[nodiscard]] Result<Scenario> make_scenario(const nlohmann::json& base, const nlohmann::json& changes,
                                             std::uint64_t seed);

/// Mean and half-width of the 95% confidence interval (Student's t).
struct Spread {
  double mean = 0, half_width = 0;
};
[[nodiscard]] Spread spread_of(const std::vector<double>& values);

/// Runs everything. `progress` hears of each finished run.
[[nodiscard]] Result<nlohmann::json> run_experiment(const Experiment& e,
                                                    const std::function<void(const std::string&)>& progress);

}  // namespace sluice::sim
