#pragma once
// Who is refused before anything is computed: the daemons' Admission, told what a coordinator knows of the simulated
// decode nodes. Requests state as their limit what they will generate, so that it knows when each ends. State is
// borrowed from the simulation; not thread-safe.
#include <deque>

#include "coordinator/policy/admission.h"
#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/sim_nodes.h"

namespace sluice::sim {

class SimAdmission {
 public:
  struct State {
    const std::vector<Active>& active;
    const std::deque<DecodeSim>& decodes;
    const std::deque<std::uint32_t>& waiting;  // rows of the load
  };
  SimAdmission(const ClusterSpec& spec, const Load& load, coordinator::Placement& p, State s);

  /// For a request that no node has room for: not worth waiting. `first`: nobody waits before it.
  [[nodiscard]] bool too_late(const coordinator::ClusterSnapshot& c, const coordinator::RequestFeatures& r, bool first,
                              double now);
  /// For a request that could go now; may change the choice.
  [[nodiscard]] bool too_slow(const coordinator::ClusterSnapshot& c, const coordinator::RequestFeatures& r,
                              coordinator::Decision& d, double now);
  void ended(const Active& a) { admission_.observe_output(a.output, false); }

 private:
  [[nodiscard]] coordinator::OccupantsOf occupants(double now);
  [[nodiscard]] coordinator::Occupant occupant(const Active& a, const DecodeSim& n, double now) const;
  [[nodiscard]] double blocks(std::uint32_t row) const;

  const ClusterSpec& spec_;
  const Load& load_;
  State state_;
  coordinator::Admission admission_;
  std::vector<coordinator::Occupant> on_node_;  // reused
};

}  // namespace sluice::sim
