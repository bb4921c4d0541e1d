#pragma once
// Where etcd is and how to speak to it. Threading: values.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/address.h"
#include "common/result.h"
#include "common/tls/source.h"

namespace sluice::etcd {

struct Options {
  std::vector<net::Address> endpoints;      // any of them will do
  std::string ca, cert, key;                // PEM files; with `ca` every connection is TLS
  std::string user, password;               // empty: etcd runs without authentication
  std::chrono::milliseconds timeout{1000};  // of one try at one endpoint
};

/// Certificates that follow their files. Null when the options name no CA. invalid_argument names the flag and the file
/// that cannot be used.
[[nodiscard]] Result<std::shared_ptr<tls::Source>> open_tls(const Options& o);
/// "etcd://host:port,host:port". invalid_argument shows how to write it.
[[nodiscard]] Result<std::vector<net::Address>> parse_endpoints(std::string_view url);

}  // namespace sluice::etcd
