#pragma once
// The prefill daemon: builds the rooms, wires them, runs the control thread, drains on SIGTERM.
// The only place that makes concrete types. Threading: run_app() blocks until the process should end.
#include <string>

#include "node/export/export_options.h"
#include "node/node_options.h"

namespace sluice::prefill {

struct AppOptions {
  node::NodeOptions node;
  std::size_t max_waiting = 1024;
  node::ExportOptions exporting;
};

/// Returns the process's exit code; throws std::runtime_error when it cannot start.
int run_app(const AppOptions& o);

}  // namespace sluice::prefill
