#pragma once
// Which candidates are worth a quality measurement: a Gaussian process over log KL, expected hypervolume improvement
// within the quality budget, and pruning by what finer and coarser candidates have shown. Pure: measuring is the
// caller's. Deterministic for a seed and the figures that it is given, so that a search that was interrupted, asked
// again with the same figures, takes the same steps.
#include <Eigen/Dense>
#include <functional>
#include <string>

#include "common/result.h"
#include "tools/profiler/pareto.h"

namespace sluice::profiler {

/// What a search chooses among, each entry one lossy part with all its coders.
struct Problem {
  Eigen::MatrixXd features;                  // [entries, features], standardised
  std::vector<std::vector<Corner>> corners;  // log2 of ratio and of speed over the reference, one for each coder
  Eigen::MatrixXd errors;                    // [entries, groups] squared, over power; the groups add up to the damage
  std::vector<double> damage;                // cheap guess of the loss, any monotone scale: spreads the first picks
  std::vector<bool> lossless;                // KL is 0; needs no measurement
  /// Whether the first loses nowhere more than the second, by construction.
  std::function<bool(std::size_t, std::size_t)> finer;
  double budget = 0.1;  // mean KL
  double floor = 1e-4;  // KL below this is worth no more
  /// The quality objective: decades below the budget, up to the floor's.
  [[nodiscard]] double quality(double kl) const;
};

struct SearchOptions {
  std::size_t evaluations = 40;
  std::size_t initial = 6;  // before the process has its say
  std::uint64_t seed = 1;
  int restarts = 3;        // of the hyperparameters' climb
  double enough = 1e-4;    // stop when the best expected improvement is below this share of the hypervolume
  double tolerance = 0.1;  // decades by which finer may measure worse; what is known for sure is wider by it
};

struct Step {
  std::size_t entry = 0;
  double kl = 0;
  double expected = 0;           // improvement, by the acquisition; 0 for the first picks
  double predicted = 0, sd = 0;  // log10 KL; 0 for the first picks
};

struct Found {
  std::vector<Step> steps;
  double hypervolume = 0;
  std::size_t pruned = 0;  // entries that need no measurement, by their bounds
  bool exhausted = false;  // nothing was left that could improve the front
};

/// Measures KL of an entry; an error ends the search and is returned.
using Measure = std::function<Result<double>(std::size_t entry, const Found& so_far)>;

[[nodiscard]] Result<Found> search(const Problem& p, const SearchOptions& o, const Measure& measure);

/// All coders of the measured entries that are within the budget, and of the lossless ones, as points.
[[nodiscard]] std::vector<Point> points_of(const Problem& p, const std::vector<std::pair<std::size_t, double>>& kl);

/// What is known for sure of each entry's quality from measured ones, `tolerance` decades apart.
class Bounds {
 public:
  Bounds(const Problem& p, double tolerance);
  void add(std::size_t entry, double kl);
  [[nodiscard]] double least(std::size_t entry) const { return least_[entry]; }
  [[nodiscard]] double most(std::size_t entry) const { return most_[entry]; }

 private:
  const Problem& p_;
  double tolerance_;
  std::vector<double> least_, most_;  // quality()
};

}  // namespace sluice::profiler
