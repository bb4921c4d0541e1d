#pragma once
// A space and its cheap figures as the search sees them: features, corners, order. Pure.
#include "tools/profiler/parts.h"
#include "tools/profiler/search.h"

namespace sluice::profiler {

struct Limits {
  double budget = 0.1, floor = 1e-4;  // mean KL
};

/// cheap: of each candidate. The problem keeps a reference to the space.
[[nodiscard]] Problem make_problem(const Space& s, std::span<const Cheap> cheap, const Limits& l);

}  // namespace sluice::profiler
