#pragma once
// Nodes that were lost, until what is told of them is dropped. A node that is back within kGrace keeps its series, so
// that a short partition resets no counter, and Prometheus has read the last of one that does not return; later it
// starts anew. Without this, nodes with random names would add series for ever.
// Pure logic with the time given; not thread-safe.
#include <chrono>
#include <map>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"

namespace sluice::coordinator {

class DepartedNodes {
 public:
  static constexpr std::chrono::minutes kGrace{5};

  void lost(const NodeId& node, TimePoint now) { gone_[node] = now; }
  void back(const NodeId& node) { gone_.erase(node); }
  /// Those that have been gone for longer; each is named once.
  [[nodiscard]] std::vector<NodeId> take_due(TimePoint now) {
    std::vector<NodeId> due;
    std::erase_if(gone_, [&](const auto& g) {
      if (now - g.second < kGrace) return false;
      due.push_back(g.first);
      return true;
    });
    return due;
  }

 private:
  std::map<NodeId, TimePoint> gone_;
};

}  // namespace sluice::coordinator
