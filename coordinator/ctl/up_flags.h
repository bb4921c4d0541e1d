#pragma once
// The flags of `sluicectl up`. Start-up only.
#include "common/flags/flags.h"
#include "coordinator/ctl/up.h"

namespace sluice::ctl {

void add_up_flags(flags::App& s, UpOptions& o);

}  // namespace sluice::ctl
