#include "node/node_health.h"

#include <fmt/format.h>

namespace sluice::node {
namespace {

constexpr int kBeyondHealing = 10;  // times --wedge-s

std::string stands_still(const NodeFacts& f) {
  return fmt::format("the engine has work and has not moved for {:.0f} s", seconds(f.still));
}

}  // namespace

bool stalled(const NodeFacts& f) { return f.still >= f.wedge; }

Verdict live_of(const NodeFacts& f) {
  if (f.still < kBeyondHealing * f.wedge) return {};
  return {false, stands_still(f)};
}

Verdict ready_of(const NodeFacts& f) {
  if (f.draining) return {false, "draining"};
  if (!f.registered) return {false, "not registered with the coordinator"};
  if (stalled(f)) return {false, stands_still(f)};
  return {};
}

}  // namespace sluice::node
