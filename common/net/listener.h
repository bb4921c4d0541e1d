#pragma once
// Accepts TCP connections at one address, for servers that are small: `accept` gets each socket.
// Threading: lives on one io_context thread; accept runs there. Failure: the constructor throws std::runtime_error when
// the address can't be bound (start-up only); a failed accept is skipped,
// after a moment in which descriptors may be freed.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <string>

namespace sluice::net {

class Listener {
 public:
  using Accept = std::function<void(boost::asio::ip::tcp::socket)>;
  Listener(boost::asio::io_context& io, const std::string& address, Accept accept);
  /// host:port in use.
  [[nodiscard]] std::string address() const;
  void stop();

 private:
  void next();
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;  // after an accept that failed
  Accept accept_;
};

}  // namespace sluice::net
