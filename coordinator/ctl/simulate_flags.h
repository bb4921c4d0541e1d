#pragma once
// The flags of `sluicectl simulate`. Start-up only.
#include "common/flags/flags.h"
#include "coordinator/ctl/simulate.h"

namespace sluice::ctl {

void add_simulate_flags(flags::App& s, SimulateOptions& o);

}  // namespace sluice::ctl
