#pragma once
// What the bytes of one client connection travel over. The asynchronous client knows no more of a connection than this,
// so that TLS can be put under it.
// Threading: that of its io_context. A handler is never called from inside the call that takes it. Buffers belong to
// the caller and stay until the handler was called.
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/tls/context.h"

namespace sluice::http {

class Wire {
 public:
  using OnConnected = std::function<void(boost::system::error_code)>;
  using OnBytes = std::function<void(boost::system::error_code, std::size_t)>;

  virtual ~Wire() = default;
  virtual void connect(const boost::asio::ip::tcp::endpoint& to, OnConnected done) = 0;
  virtual void read_some(boost::asio::mutable_buffer into, OnBytes done) = 0;
  virtual void write_some(boost::asio::const_buffer bytes, OnBytes done) = 0;
  /// What is under way ends with an error.
  virtual void close() noexcept = 0;
};

using MakeWire = std::function<std::unique_ptr<Wire>(boost::asio::io_context&)>;
/// TLS: `host`'s certificate must be one that `context` believes.
[[nodiscard]] MakeWire tls_wire(std::shared_ptr<const tls::Context> context, std::string host);
/// Plain TCP.
[[nodiscard]] std::unique_ptr<Wire> tcp_wire(boost::asio::io_context& io);

}  // namespace sluice::http
