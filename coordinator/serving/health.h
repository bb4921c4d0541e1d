#pragma once
// Whether the service can serve, and why not. Pure.
#include "coordinator/api/backend.h"
#include "coordinator/cluster/cluster_view.h"

namespace sluice::coordinator {

struct Load {
  std::size_t waiting = 0, active = 0;  // legs
  bool draining = false;                // the coordinator itself
};

[[nodiscard]] Health health_of(const ClusterView& view, const Load& load);

}  // namespace sluice::coordinator
