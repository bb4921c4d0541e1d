#include "coordinator/cluster/link_probes.h"

#include <algorithm>

namespace sluice::coordinator {
namespace {

constexpr double kBlockS = 1e-3;
constexpr double kLeastBlock = 64 << 10, kMostBlock = 1 << 20;
constexpr double kPatience = 2;    // intervals after which a probe waits for no quiet moment
constexpr int kMostLookedAt = 64;  // links at a time

}  // namespace

void LinkProbes::began(const Link& l) {
  Use& u = links_[l];
  if (u.busy++ == 0) idle_.erase({u.idle_since, l});
  ++nodes_[l.prefill].busy;
  ++nodes_[l.decode].busy;
}

void LinkProbes::ended(const Link& l, TimePoint now) {
  const auto it = links_.find(l);
  if (it == links_.end() || it->second.busy == 0) return;
  for (const NodeId* n : {&l.prefill, &l.decode})
    if (int& busy = nodes_[*n].busy; busy > 0) --busy;
  if (--it->second.busy > 0) return;
  it->second.idle_since = now;
  idle_.emplace(now, l);
}

void LinkProbes::forget(const NodeId& node) {
  for (auto it = links_.begin(); it != links_.end();) {
    const Link& l = it->first;
    if (l.prefill != node && l.decode != node) {
      ++it;
      continue;
    }
    nodes_[l.prefill == node ? l.decode : l.prefill].busy -= it->second.busy;
    idle_.erase({it->second.idle_since, l});
    it = links_.erase(it);
  }
  nodes_.erase(node);
}

bool LinkProbes::may(const NodeId& node, bool overdue, TimePoint now) const {
  const auto it = nodes_.find(node);
  return it == nodes_.end() || (now >= it->second.rests_until && (overdue || it->second.busy == 0));
}

std::optional<LinkProbes::Link> LinkProbes::next(TimePoint now) {
  if (every_s_ <= 0) return std::nullopt;
  int looked_at = 0;
  for (const auto& [since, l] : idle_) {
    const double idle_s = seconds(now - since);
    if (idle_s < every_s_ || ++looked_at > kMostLookedAt) return std::nullopt;
    const bool overdue = idle_s > kPatience * every_s_;
    if (!may(l.prefill, overdue, now) || !may(l.decode, overdue, now)) continue;
    Link found = l;
    began(found);
    for (const NodeId* n : {&found.prefill, &found.decode}) nodes_[*n].rests_until = now + from_seconds(kRestS);
    return found;
  }
  return std::nullopt;
}

std::uint32_t LinkProbes::block_bytes(double known_bps) {
  return static_cast<std::uint32_t>(std::clamp(known_bps * kBlockS, kLeastBlock, kMostBlock));
}

}  // namespace sluice::coordinator
