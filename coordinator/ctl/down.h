#pragma once
// `down`: the coordinator drains first, then the nodes go, then what they left in shared memory.
// Threading: the caller's thread; the caller holds the run directory's lock.
#include <string>
#include <vector>

#include "coordinator/ctl/run_dir.h"

namespace sluice::ctl {

struct DownReport {
  std::vector<std::string> stopped;         // ended after SIGTERM
  std::vector<std::string> killed;          // needed SIGKILL
  std::vector<std::string> gone;            // were not there any more
  std::vector<std::string> removed_memory;  // shared-memory files left behind
};

/// drain_s: how long running requests may take. A second SIGTERM, then SIGKILL follow.
[[nodiscard]] DownReport take_down(const ClusterState& s, const RunDir& dir, int drain_s);

/// The whole command. Without a cluster it says so and succeeds.
[[nodiscard]] Result<int> down(const RunDir& dir, int drain_s, bool as_json);

}  // namespace sluice::ctl
