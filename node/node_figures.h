#pragma once
// What every node says of its blocks, whatever its role. Threading: any thread.
#include "common/control/messages.h"
#include "common/metrics.h"
#include "engine/policy/scheduler.h"

namespace sluice::node {

inline void tell_blocks(const engine::SchedulerCounters& c, control::Heartbeat& h) {
  h.free_blocks = c.free_blocks;
  h.total_blocks = c.total_blocks;
}

class BlockGauges {
 public:
  explicit BlockGauges(Metrics& m)
      : capacity_(m.gauge("sluice_kv_blocks_capacity", "KV blocks of this node's pool.")),
        free_(m.gauge("sluice_kv_blocks_free", "KV blocks not in use.")) {}
  void set(const engine::SchedulerCounters& c) const {
    capacity_.set(c.total_blocks);
    free_.set(c.free_blocks);
  }

 private:
  Gauge capacity_, free_;
};

}  // namespace sluice::node
