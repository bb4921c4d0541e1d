#pragma once
// Many HTTP/1.1 requests to one server at once, on one thread. Connections are kept and used again, as long as the
// server lets them; one that turns out to be closed before anything of an answer came is replaced once.
//
// Threading: one io_context's thread, for everything. Callbacks run there, never from inside start(). `on_done` is
// called exactly once for each request, unless the client is destroyed first: that drops what is under way.
// Failure: as http::stream(): unavailable, deadline_exceeded, data_corrupt, invalid_argument (a header with a line
// break). An answer of any status is no failure.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/http/client.h"
#include "common/http/wire.h"
#include "common/result.h"

namespace sluice::http {

class AsyncClient {
 public:
  using OnDone = std::function<void(Result<ClientResponse>)>;
  struct Options {
    std::string address;                       // host:port
    std::chrono::milliseconds timeout{30000};  // without any progress
    MakeWire make_wire = tcp_wire;
  };

  AsyncClient(boost::asio::io_context& io, Options options);
  ~AsyncClient();
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  /// Looks the server's name up; blocks. Before the first start().
  [[nodiscard]] Result<> resolve();
  /// `q.address` and `q.timeout` are not looked at. The body of a 2xx answer goes to on_body as it comes; when on_body
  /// returns false the connection is closed and the request ends with `cancelled`.
  void start(ClientRequest q, OnBody on_body, OnDone on_done);

 private:
  class Connection;

  void run(std::shared_ptr<Connection> c);
  void watch();

  boost::asio::io_context& io_;
  Options options_;
  std::vector<boost::asio::ip::tcp::endpoint> endpoints_;
  boost::asio::steady_timer watch_;  // looks for requests without progress
  bool watching_ = false;
  std::unordered_set<std::shared_ptr<Connection>> busy_;
  std::vector<std::shared_ptr<Connection>> idle_;
};

}  // namespace sluice::http
