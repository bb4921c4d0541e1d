#pragma once
// The prefill daemon: builds the rooms, wires them, runs the control thread, drains on SIGTERM.
// The only place that makes concrete types. Threading: run_app() blocks until the process should end.
#include "node/node_options.h"
#include "node/other_role.h"
#include "prefill_node/prefill_service.h"

namespace sluice::prefill {

struct AppOptions {
  node::NodeOptions node;
  PrefillOptions prefill;
};

/// Throws std::runtime_error when it cannot start.
node::RunEnd run_app(const AppOptions& o);

}  // namespace sluice::prefill
