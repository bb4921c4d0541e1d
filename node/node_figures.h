#pragma once
// What every node says of its blocks, whatever its role. Threading: any thread.
#include "common/control/messages.h"
#include "common/metrics.h"
#include "engine/policy/scheduler.h"

namespace sluice::node {

inline void set_gauge(Metrics& metrics, const char* name, const char* help, double v) {
  metrics.gauge(name, help).Set(v);
}

inline void tell_blocks(const engine::SchedulerCounters& c, control::Heartbeat& h) {
  h.free_blocks = c.free_blocks;
  h.total_blocks = c.total_blocks;
}

inline void tell_blocks(const engine::SchedulerCounters& c, Metrics& metrics) {
  set_gauge(metrics, "sluice_kv_blocks_total", "KV blocks of this node's pool.", c.total_blocks);
  set_gauge(metrics, "sluice_kv_blocks_free", "KV blocks not in use.", c.free_blocks);
}

}  // namespace sluice::node
