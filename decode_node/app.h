#pragma once
// The decode daemon: builds the rooms, wires them, runs the control thread, drains on SIGTERM.
// The only place that makes concrete types. Threading: run_app() blocks until the process should end.
#include <string>

#include "decode_node/decode_service.h"
#include "kvtransfer/flow/kv_receiver.h"
#include "node/node_options.h"

namespace sluice::decode {

struct AppOptions {
  node::NodeOptions node;
  std::string data_listen = "127.0.0.1:0";
  DecodeOptions decode;
  kv::ReceiverOptions receiver;
};

/// Returns the process's exit code; throws std::runtime_error when it cannot start.
int run_app(const AppOptions& o);

}  // namespace sluice::decode
