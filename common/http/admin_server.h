#pragma once
// A small HTTP server for a daemon's own pages: /metrics, /health, /version. GET and HEAD only, one response per
// connection, everything bounded; plain or HTTPS. The coordinator's API has a server of its own (coordinator/http).
// Threading: lives on one io_context thread; handlers run there. Failure: throws std::runtime_error when the address
// can't be bound (start-up); afterwards a bad client costs at most one connection.
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/tls/source.h"

namespace sluice::http {

struct AdminReply {
  int status = 200;
  std::string content_type;
  std::string body;
};

using AdminRoutes = std::map<std::string, std::function<AdminReply()>>;  // by path

class AdminServer {
 public:
  /// tls: what connections from now on show and demand; null: plain. It may change while the server lives.
  AdminServer(boost::asio::io_context& io, const std::string& address, AdminRoutes routes,
              std::shared_ptr<tls::Source> tls = nullptr);
  ~AdminServer();
  /// host:port in use.
  [[nodiscard]] std::string address() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::http
