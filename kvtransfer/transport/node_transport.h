#pragma once
// The transport a node's options ask for. Threading: start-up.
#include "common/control/node_options.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

/// handler must outlive the transport.
[[nodiscard]] inline Result<std::unique_ptr<Transport>> make_node_transport(const control::NodeOptions& o,
                                                                            TransportHandler& handler) {
  UcxOptions u;
  u.tls = o.ucx_tls;
  u.net_devices = o.ucx_net_devices;
  u.keepalive = std::chrono::milliseconds(o.keepalive_ms);
  return make_ucx_transport(u, handler);
}

}  // namespace sluice::kv
