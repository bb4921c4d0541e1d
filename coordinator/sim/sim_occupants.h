#pragma once
// Who is on the simulated decode nodes, as a coordinator would know it: what the intake's forecasts are made from.
// Requests state as their limit what they will generate, so that it knows when each ends. State is borrowed from the
// simulation; not thread-safe.
#include <deque>

#include "coordinator/policy/admission.h"
#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/sim_nodes.h"

namespace sluice::sim {

class SimOccupants {
 public:
  struct State {
    const std::vector<Active>& active;
    const std::deque<DecodeSim>& decodes;
  };
  SimOccupants(const ClusterSpec& spec, const Load& load, State s) : spec_(spec), load_(load), state_(s) {}

  [[nodiscard]] coordinator::OccupantsOf at(double now);

 private:
  [[nodiscard]] coordinator::Occupant occupant(const Active& a, const DecodeSim& n, double now) const;

  const ClusterSpec& spec_;
  const Load& load_;
  State state_;
  std::vector<coordinator::Occupant> on_node_;  // reused
};

}  // namespace sluice::sim
