#pragma once
// Certificates for connections to etcd, read once at the start. Only http_call.cpp and tls.cpp see what is inside.
// Threading: const after load(); one io_context thread.
#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "common/etcd/options.h"

namespace sluice::etcd {

struct Tls {
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_client};

  /// Null when the options name no CA. invalid_argument names the file that cannot be used.
  [[nodiscard]] static Result<std::shared_ptr<Tls>> load(const Options& o);
};

}  // namespace sluice::etcd
