#pragma once
// Keeps every usable node in sight. What is learned of a node, only requests renew: one that was slow once would be
// avoided for ever for it. So a node that got no request for kSeconds and for kDecisions per node of its side gets the
// next one that can go there: of all decisions one in kDecisions at most, however many nodes there are. Pure, time
// given; not thread-safe.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/clock.h"
#include "coordinator/policy/directory.h"

namespace sluice::coordinator {

class NodeSight {
 public:
  static constexpr double kSeconds = 5;
  static constexpr std::uint64_t kDecisions = 20;  // for each node of its side, listed or not

  /// A node is first looked for when it was first listed, not before.
  void grow(std::size_t slots);
  /// One decision was made in favour of this node.
  void chosen(Slot node, TimePoint now);
  /// Of the listed nodes (indices of a snapshot, with their slots) the one out of sight for longest, if that is too
  /// long; as a place in the list.
  [[nodiscard]] std::optional<std::size_t> overdue(std::span<const std::size_t> listed, std::span<const Slot> slots,
                                                   TimePoint now);

 private:
  struct Seen {
    TimePoint at{};
    std::uint64_t decision = 0;
    bool known = false;
  };
  std::vector<Seen> seen_;  // by slot
  std::uint64_t decisions_ = 0;
};

}  // namespace sluice::coordinator
