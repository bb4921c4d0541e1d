#include "coordinator/sim/sim_admission.h"

namespace sluice::sim {

using namespace coordinator;

SimAdmission::SimAdmission(const ClusterSpec& spec, const Load& load, Placement& p, State s)
    : spec_(spec), load_(load), state_(s), admission_(p) {}

double SimAdmission::blocks(std::uint32_t row) const {
  const SimRequest& q = load_[row];
  return blocks_needed({.prompt_tokens = q.prompt_tokens, .max_new_tokens = q.output_tokens}, spec_.block_size);
}

Occupant SimAdmission::occupant(const Active& a, const DecodeSim& n, double now) const {
  Occupant o{.blocks = blocks(a.row),
             .emitted = static_cast<double>(a.output),
             .limit = static_cast<double>(load_[a.row].output_tokens),
             .tpot_s = a.k.predicted_tpot_s};
  const bool in_run = a.decodes && !n.running.empty() && n.run.from_s >= a.ready_s;
  if (in_run) o.emitted += n.run.begun(now) - 1.0;  // counted at the run's end only
  if (o.emitted == 0) o.starts_in_s = a.decided_s + a.k.predicted_ttft_s - now;
  if (o.emitted > 1 && a.first_s >= 0) o.tpot_s = (now - a.first_s) / (o.emitted - 1);
  return o;
}

OccupantsOf SimAdmission::occupants(double now) {
  return [this, now](std::size_t node) {
    const DecodeSim& n = state_.decodes[node];
    on_node_.clear();
    for (const std::uint32_t id : n.held) on_node_.push_back(occupant(state_.active[id], n, now));
    return std::span<const Occupant>(on_node_);
  };
}

bool SimAdmission::too_late(const ClusterSnapshot& c, const RequestFeatures& r, bool first, double now) {
  if (!spec_.admission) return false;
  Ahead ahead;
  if (!first) {
    if (state_.waiting.size() >= spec_.max_waiting) return true;
    for (const std::uint32_t row : state_.waiting) {
      ahead.blocks += blocks(row);
      ahead.limits += load_[row].output_tokens;
    }
    ahead.seqs = static_cast<double>(state_.waiting.size());
  }
  return admission_.check_wait(c, r, occupants(now), ahead, spec_.max_wait_s, at(now)).has_value();
}

bool SimAdmission::too_slow(const ClusterSnapshot& c, const RequestFeatures& r, Decision& d, double now) {
  if (!spec_.admission || spec_.max_tpot_s <= 0) return false;
  return admission_.check_speed(c, r, d, occupants(now), spec_.max_tpot_s, at(now)).has_value();
}

}  // namespace sluice::sim
