#include "coordinator/sim/sim_occupants.h"

namespace sluice::sim {

using namespace coordinator;

Occupant SimOccupants::occupant(const Active& a, const DecodeSim& n, double now) const {
  const SimRequest& q = load_[a.row];
  const RequestFeatures r{.prompt_tokens = q.prompt_tokens, .max_new_tokens = q.output_tokens};
  Occupant o{.blocks = static_cast<double>(blocks_needed(r, spec_.block_size)),
             .emitted = static_cast<double>(a.output),
             .limit = static_cast<double>(q.output_tokens),
             .tpot_s = a.k.predicted_tpot_s};
  const bool in_run = a.decodes && !n.running.empty() && n.run.from_s >= a.ready_s;
  if (in_run) o.emitted += n.run.begun(now) - 1.0;  // counted at the run's end only
  if (o.emitted == 0) o.starts_in_s = a.decided_s + a.k.predicted_ttft_s - now;
  if (o.emitted > 1 && a.first_s >= 0) o.tpot_s = (now - a.first_s) / (o.emitted - 1);
  return o;
}

OccupantsOf SimOccupants::at(double now) {
  return [this, now](std::size_t node) {
    const DecodeSim& n = state_.decodes[node];
    on_node_.clear();
    for (const std::uint32_t id : n.held) on_node_.push_back(occupant(state_.active[id], n, now));
    return std::span<const Occupant>(on_node_);
  };
}

}  // namespace sluice::sim
