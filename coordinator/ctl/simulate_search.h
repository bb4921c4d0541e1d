#pragma once
// `sluicectl simulate --search`: which split of nodes gives the most goodput for its price, for each pair of objectives
// asked about. Prints a table or JSON, writes plots. Failure: those of the readers, in words.
#include "coordinator/ctl/simulate.h"

namespace sluice::ctl {

[[nodiscard]] Result<int> run_search(const SimulateOptions& o);

}  // namespace sluice::ctl
