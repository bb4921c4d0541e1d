#pragma once
// The prefill daemon: builds the rooms, wires them, runs the control thread, drains on SIGTERM.
// The only place that makes concrete types. Threading: run_app() blocks until the process should end.
#include <string>

#include "node/node_options.h"
#include "prefill_node/kv_export.h"

namespace sluice::prefill {

struct AppOptions {
  node::NodeOptions node;
  std::size_t max_waiting = 1024;
  ExportOptions exporting;
};

/// Returns the process's exit code; throws std::runtime_error when it cannot start.
int run_app(const AppOptions& o);

}  // namespace sluice::prefill
