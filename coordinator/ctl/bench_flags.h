#pragma once
// The flags of `sluicectl bench`. Start-up only.
#include <string>

#include "common/flags/flags.h"
#include "coordinator/ctl/load/options.h"

namespace sluice::ctl {

void add_bench_flags(flags::App& s, load::LoadOptions& o);
/// The command line as a report may show it: what follows --header is left out.
[[nodiscard]] std::string command_text(int argc, const char* const* argv);

}  // namespace sluice::ctl
