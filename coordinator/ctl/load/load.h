#pragma once
// `sluicectl bench`: puts load on a server that speaks OpenAI's API and measures it where a client stands. Here the
// parts are joined: server.h (where), dataset.h (what), arrival.h (when), runner.h (does it), stats.h and report.h
// (tell). Threading: the caller's thread, blocking.
#include "common/result.h"
#include "coordinator/ctl/load/options.h"

namespace sluice::ctl::load {

/// 1 when no request completed.
[[nodiscard]] Result<int> bench(LoadOptions o);

}  // namespace sluice::ctl::load
