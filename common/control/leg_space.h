#pragma once
// Which coordinator a leg is of. Nodes serve several coordinators, and each draws the ids of its legs from a space of
// its own: the upper half of an id is the space, the lower half counts. The coordinator says its space when a node
// registers; one that says none (0) counts from 1. Threading: values.
#include <cstdint>

#include "common/ids.h"

namespace sluice::control {

using LegSpace = StrongId<struct LegSpaceTag, std::uint32_t>;

[[nodiscard]] constexpr LegSpace space_of(RequestId leg) {
  return LegSpace(static_cast<std::uint32_t>(leg.value() >> 32U));
}
/// The id before the first one of a space.
[[nodiscard]] constexpr std::uint64_t base_of(LegSpace s) { return std::uint64_t{s.value()} << 32U; }

}  // namespace sluice::control
