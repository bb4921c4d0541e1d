#pragma once
// Whether the service can serve, and why not. Pure.
#include "common/clock.h"
#include "coordinator/api/backend.h"
#include "coordinator/cluster/cluster_view.h"

namespace sluice::coordinator {

struct Load {
  std::size_t waiting = 0, active = 0;  // legs
  bool draining = false;                // the coordinator itself
  bool local_prefill = false;           // decode nodes may compute prompts unasked
};

[[nodiscard]] Health health_of(const ClusterView& view, const Load& load);

/// `h`, and not ready once the threads that read requests have had some in hand and ended none for `wedge`; `still`:
/// for how long they have.
[[nodiscard]] Health with_readers(Health h, Duration still, Duration wedge);

}  // namespace sluice::coordinator
