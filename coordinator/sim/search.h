#pragma once
// Which cluster a budget should buy: counts of prefill and decode nodes and their hardware, ranked by the goodput they
// give for what they cost. Each candidate's highest rate that still meets the objectives is found by bracketing, every
// step a simulation. Pure but for the time it takes.
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/report.h"

namespace sluice::sim {

struct Offer {
  Hardware hardware;
  double price = 1;  // of one node per hour, in whatever money; 1: goodput per node is what counts
};

inline constexpr std::size_t kFewNodes = 8, kManyNodes = 64;

struct SearchSpec {
  ClusterSpec base;  // nodes are the candidates' own
  std::vector<Offer> offers;
  std::vector<std::string> policies{"sluice"};
  std::size_t nodes = 0;    // at most; 0: kFewNodes, or with a budget as many as it buys, up to kManyNodes
  double budget = 0;        // money per hour at most; 0: only `nodes` bounds
  double attainment = 0.9;  // share of requests that must meet both objectives
  double duration_s = 60;   // of a step's load at least
  std::size_t least_requests = 300;
  std::function<Load(double rate, std::size_t requests)> load;  // arrivals at this rate per second
};

/// One candidate at its highest rate within the objectives; rate 0: it meets them at none.
struct Found {
  std::size_t prefill = 0, decode = 0;
  std::string prefill_hardware, decode_hardware, policy;
  double price = 0, rate = 0;
  double goodput_per_node_s = 0, goodput_per_price = 0;
  Summary summary;
};

/// The highest x with ok(x), within `precision` (a factor); 0 when none is found from `first` down. ok is taken to be
/// true below and false above.
[[nodiscard]] double highest(double first, double precision, const std::function<bool(double)>& ok);

/// The most nodes that a search tries.
[[nodiscard]] std::size_t most_nodes(const SearchSpec& s);

/// Best first: by goodput per price, or per node where all prices are equal. invalid_argument without offers, load or
/// at least two nodes.
[[nodiscard]] Result<std::vector<Found>> search(const SearchSpec& s,
                                                const std::function<void(const std::string&)>& progress);

[[nodiscard]] nlohmann::json to_json(const Found& f);

}  // namespace sluice::sim
