#pragma once
// Every transport under one name, so that a suite runs over all of them.
#include <functional>
#include <string>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv::test {

struct Network {
  std::string name;
  std::string listen_at;
  std::string nobody_there;  // a well-formed address without a listener
  std::string tls;           // empty: no UCX
  std::function<std::unique_ptr<Transport>(TransportHandler&)> make;
};

/// limit: how slow each connection is made; 0: not at all.
inline Network ucx_network(std::string name, std::string tls, double limit_bytes_per_s = 0) {
  return {name, "127.0.0.1:0", "127.0.0.1:1", tls, [tls, limit_bytes_per_s](TransportHandler& h) {
            UcxOptions o;
            o.tls = tls;
            o.link_limit_bytes_per_s = limit_bytes_per_s;
            return std::move(make_ucx_transport(o, h).value());
          }};
}

inline Network loopback_network() {
  return {"loopback", "loop:0", "loop:nobody", "", [hub = make_loopback_hub()](TransportHandler& h) {
            return std::move(make_loopback_transport(hub, h).value());
          }};
}

inline std::vector<Network> all_networks() {
  return {loopback_network(), ucx_network("ucx tcp", "tcp,self"), ucx_network("ucx shm", "posix,tcp,self"),
          ucx_network("ucx slowed", "tcp,self", 5e8)};
}

}  // namespace sluice::kv::test
