// Sequences that lose their blocks on a simulated decode node, and get some again.
#include <algorithm>
#include <utility>

#include "coordinator/sim/decode_side.h"

namespace sluice::sim {

double DecodeSide::copy_s(std::size_t d, std::uint32_t positions) const {
  return positions * scene_.spec.model.kv_bytes_per_token / scene_.spec.decodes[d].host_copy_bps;
}

/// Its rows anew, where they have the same bits, if that is done before it could be copied out and in.
bool DecodeSide::rather_recompute(std::size_t d, const Active& a, std::uint32_t positions) const {
  const auto& profiles = scene_.view.profiles;
  const bool exact = a.k.local || std::max(profiles[a.k.profile].kl, profiles[a.sends].kl) <= 0;
  return exact && positions / scene_.decode_rate[d] < 2 * copy_s(d, positions);
}

/// Whether blocks became free at once: another plan may find work.
bool DecodeSide::park_and_return(std::size_t d, engine::Plan& plan) {
  bool freed = false;
  for (engine::Eviction& e : plan.evictions) {
    const auto id = static_cast<std::uint32_t>(e.id.value());
    evict(d, std::move(e));
    freed |= scene_.active[id].recomputes;
  }
  for (const engine::Return& r : plan.returns) {
    freed |= scene_.active[r.id.value()].recomputes;
    bring_back(d, r);
  }
  return freed;
}

void DecodeSide::evict(std::size_t d, engine::Eviction e) {
  Node& n = nodes_[d];
  const auto id = static_cast<std::uint32_t>(e.id.value());
  Active& a = scene_.active[id];
  part(d, id);
  ++n.parked;
  ++n.preempted;
  ++scene_.result.requests[a.row].preemptions;
  if (a.parked_s < 0) a.parked_s = scene_.now;
  a.recomputes = rather_recompute(d, a, e.computed);
  ++(a.recomputes ? scene_.result.recomputes : scene_.result.swaps);
  hears_.parked(id);
  if (a.recomputes) return (void)n.scheduler.evicted(e);
  n.out_free_s = std::max(n.out_free_s, scene_.now) + scene_.vary(copy_s(d, e.computed), scene_.spec.spread);
  n.leaving.push_back(std::move(e));
  scene_.push(n.out_free_s, What::copied_out, d);
}

void DecodeSide::copied_out(std::size_t d) {
  Node& n = nodes_[d];
  (void)n.scheduler.evicted(n.leaving.front());
  n.leaving.pop_front();
  wake(d);
}

void DecodeSide::bring_back(std::size_t d, const engine::Return& r) {
  Node& n = nodes_[d];
  const auto id = static_cast<std::uint32_t>(r.id.value());
  if (!scene_.active[id].recomputes) {
    n.in_free_s = std::max(n.in_free_s, scene_.now) + scene_.vary(copy_s(d, r.computed), scene_.spec.spread);
    scene_.push(n.in_free_s, What::copied_in, id);
    return;
  }
  (void)n.scheduler.recompute(r.id);
  --n.parked;
  join(d, id);
}

void DecodeSide::copied_in(std::uint32_t id) {
  const std::size_t d = scene_.active[id].k.decode;
  --nodes_[d].parked;
  join(d, id);
  wake(d);
}

}  // namespace sluice::sim
