#pragma once
// Which idle link is measured anew, and with how much. A link is known as it was when something last went over it: one
// that was slow then is avoided, and no transfer will tell that it has recovered. Pure logic with the time given; not
// thread-safe.
//
// What it may cost: a probe is four blocks of what the link is known to carry in a millisecond each (64 KiB at least,
// 1 MiB at most), a node takes part in one at a time and then rests: below one percent of a link's time. A probe waits
// for a moment without transfers at both nodes, but not for ever.
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "common/clock.h"
#include "common/ids.h"

namespace sluice::coordinator {

class LinkProbes {
 public:
  struct Link {
    NodeId prefill, decode;
    friend auto operator<=>(const Link&, const Link&) = default;
  };
  static constexpr double kRestS = 0.5;  // of a node after a probe

  /// A link is measured when it was idle for this long; 0: never.
  explicit LinkProbes(double every_s) : every_s_(every_s) {}

  /// A transfer or a measurement begins, and ends.
  void began(const Link& l);
  void ended(const Link& l, TimePoint now);
  /// The node is gone; what still ends on its links counts no more.
  void forget(const NodeId& node);
  /// The link to measure now: the one idle for longest of those whose turn it is. It counts as begun.
  [[nodiscard]] std::optional<Link> next(TimePoint now);
  [[nodiscard]] static std::uint32_t block_bytes(double known_bps);

 private:
  struct Use {
    int busy = 0;
    TimePoint idle_since{};
  };
  struct Node {
    int busy = 0;
    TimePoint rests_until{};
  };
  [[nodiscard]] bool may(const NodeId& node, bool overdue, TimePoint now) const;

  double every_s_;
  std::map<Link, Use> links_;
  std::set<std::pair<TimePoint, Link>> idle_;  // the longest first
  std::map<NodeId, Node> nodes_;
};

}  // namespace sluice::coordinator
