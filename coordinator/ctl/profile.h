#pragma once
// `sluicectl profile`: the offline search, run by sluice-profiler, which lies beside us.
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::ctl {

/// Becomes `sluice-profiler search` with these arguments: its progress, its exit code and the terminal's Ctrl-C are its
/// own. Returns only if it cannot be started.
[[nodiscard]] Result<int> profile(const std::vector<std::string>& args, bool json);

}  // namespace sluice::ctl
