#pragma once
// Whether a node lives and whether it can work, from what is seen of it. Pure.
//
// Ready: it can do its work now. Not so while it is not registered, drains, or its engine stands still: it has work and
// neither a layer nor a pass nor a look for work has ended for --wedge-s. Live: only what waiting cannot heal speaks
// against it, and that is an engine that stood still ten times as long. Whoever restarts a node for less throws away
// every request that it holds.
#include <string>

#include "common/clock.h"

namespace sluice::node {

struct NodeFacts {
  bool registered = false, draining = false;
  Duration still{};  // how long the engine has had work and has not moved
  Duration wedge{};  // --wedge-s
};

struct Verdict {
  bool ok = true;
  std::string why;  // empty when ok
};

[[nodiscard]] bool stalled(const NodeFacts& f);
[[nodiscard]] Verdict live_of(const NodeFacts& f);
[[nodiscard]] Verdict ready_of(const NodeFacts& f);

}  // namespace sluice::node
