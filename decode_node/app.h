#pragma once
// The decode daemon: builds the rooms, wires them, runs the control thread, drains on SIGTERM.
// The only place that makes concrete types. Threading: run_app() blocks until the process should end.
#include <string>

#include "decode_node/decode_service.h"
#include "kvtransfer/flow/kv_receiver.h"
#include "node/node_options.h"
#include "node/other_role.h"

namespace sluice::decode {

struct AppOptions {
  node::NodeOptions node;
  std::string data_listen = "127.0.0.1:0";
  DecodeOptions decode;
  kv::ReceiverOptions receiver;
};

/// Throws UsageError for what can be told of the options before anything is loaded.
void check_options(const AppOptions& o);

/// Throws std::runtime_error when it cannot start.
node::RunEnd run_app(const AppOptions& o);

}  // namespace sluice::decode
