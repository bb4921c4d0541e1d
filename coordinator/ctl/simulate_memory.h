#pragma once
// `sluicectl simulate --memory sluice,greedy,...`: ways to give out decode memory, side by side on the same load.
// Prints a table or JSON. Failure: those of the readers, in words.
#include "coordinator/ctl/simulate.h"

namespace sluice::ctl {

[[nodiscard]] Result<int> compare_memory(const SimulateOptions& o);
/// What became of decode memory in a run: concurrency, preemptions and their stalls.
[[nodiscard]] nlohmann::json memory_figures(const sim::SimResult& r);

}  // namespace sluice::ctl
