#include "coordinator/policy/node_sight.h"

namespace sluice::coordinator {

void NodeSight::grow(std::size_t slots) {
  if (seen_.size() < slots) seen_.resize(slots);
}

void NodeSight::chosen(Slot node, TimePoint now) {
  ++decisions_;
  seen_[node] = {now, decisions_, true};
}

std::optional<std::size_t> NodeSight::overdue(std::span<const std::size_t> listed, std::span<const Slot> slots,
                                              TimePoint now) {
  std::optional<std::size_t> found;
  std::uint64_t oldest = UINT64_MAX;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    Seen& s = seen_[slots[listed[i]]];
    if (!s.known) s = {now, decisions_, true};
    if (seconds(now - s.at) < kSeconds || decisions_ - s.decision < kDecisions * slots.size()) continue;
    if (s.decision >= oldest) continue;
    oldest = s.decision;
    found = i;
  }
  return found;
}

}  // namespace sluice::coordinator
