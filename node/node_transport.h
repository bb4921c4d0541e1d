#pragma once
// The transport a node's options ask for. Threading: start-up.
#include <memory>

#include "common/clock.h"
#include "common/log.h"
#include "common/log_gate.h"
#include "common/metrics.h"
#include "kvtransfer/transport/transport.h"
#include "node/node_options.h"

namespace sluice::node {

/// The options in the transport's terms.
[[nodiscard]] inline kv::UcxOptions ucx_options(const NodeOptions& o) {
  kv::UcxOptions u;
  u.tls = o.ucx_tls;
  u.net_devices = o.ucx_net_devices;
  u.port_range = o.ucx_port_range;
  u.keepalive = std::chrono::milliseconds(o.keepalive_ms);
  u.link_limit_bytes_per_s = o.link_limit_mbps * 1e6 / 8;
  return u;
}

/// A connection that fell back to TCP although --ucx-tls names something faster is warned of, with its peer, and
/// counted in sluice_transport_slow_path_total: when that is known, the peer has not said its name yet. handler must
/// outlive the transport. admission_key: what those who connect must prove; who cannot is counted and warned of.
[[nodiscard]] inline Result<std::unique_ptr<kv::Transport>> make_node_transport(const NodeOptions& o, Metrics& metrics,
                                                                                kv::TransportHandler& handler,
                                                                                const std::string& admission_key = {}) {
  if (o.link_limit_mbps > 0)
    log::warn("KV is slowed down on purpose: --link-limit-mbps is for tests and demonstrations",
              {{"mbps", o.link_limit_mbps}});
  kv::UcxOptions u = ucx_options(o);
  u.admission_key = admission_key;
  u.on_stranger = [refused = metrics.counter("sluice_transport_strangers_total",
                                             "Connections to the KV port refused: no coordinator sent them."),
                   gate = std::make_shared<LogGate>(), clock = SteadyClock()](const std::string& peer) {
    refused.add();
    if (const auto held = gate->pass(0, clock.now()))
      log::warn("stranger at the KV port refused: it does not know this node's key, which the coordinator hands out",
                {{"peer", peer}, {"held_back", *held}});
  };
  u.on_slow_path = [counted = metrics.counter("sluice_transport_slow_path_total",
                                              "Connections over TCP although --ucx-tls names something faster."),
                    tls = o.ucx_tls](const kv::SlowPath& p) {
    log::warn("KV goes over a slow path: none of the faster transports of --ucx-tls reaches this peer",
              {{"peer", p.peer}, {"lane", p.lane}, {"ucx_tls", tls}, {"conn", p.conn}});
    counted.add();
  };
  return kv::make_ucx_transport(u, handler);
}

}  // namespace sluice::node
