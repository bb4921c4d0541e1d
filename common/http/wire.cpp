#include "common/http/wire.h"

#include <utility>

#include "common/tls/stream.h"

namespace sluice::http {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

class TcpWire final : public Wire {
 public:
  explicit TcpWire(boost::asio::io_context& io) : socket_(io) {}

  void connect(const tcp::endpoint& to, OnConnected done) override {
    error_code ignored;  // what is wrong with the socket, connecting says
    socket_.open(to.protocol(), ignored);
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.async_connect(to, std::move(done));
  }
  void read_some(boost::asio::mutable_buffer into, OnBytes done) override {
    socket_.async_read_some(into, std::move(done));
  }
  void write_some(boost::asio::const_buffer bytes, OnBytes done) override {
    socket_.async_write_some(bytes, std::move(done));
  }
  void close() noexcept override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsWire final : public Wire {
 public:
  TlsWire(boost::asio::io_context& io, tls::Secured how) : how_(std::move(how)), stream_(tcp::socket(io)) {}

  void connect(const tcp::endpoint& to, OnConnected done) override {
    error_code ignored;
    stream_.socket().open(to.protocol(), ignored);
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    stream_.socket().async_connect(to,
                                   [this, alive = std::weak_ptr<int>(life_), done = std::move(done)](error_code ec) {
                                     if (ec || alive.expired())
                                       return done(ec ? ec : boost::asio::error::operation_aborted);
                                     stream_ = tls::Stream(std::move(stream_.socket()), how_);
                                     stream_.async_handshake(done);
                                   });
  }
  void read_some(boost::asio::mutable_buffer into, OnBytes done) override {
    stream_.async_read_some(into, std::move(done));
  }
  void write_some(boost::asio::const_buffer bytes, OnBytes done) override {
    stream_.async_write_some(bytes, std::move(done));
  }
  void close() noexcept override { stream_.close(); }

 private:
  tls::Secured how_;
  tls::Stream stream_;
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
};

}  // namespace

MakeWire tls_wire(std::shared_ptr<const tls::Context> context, std::string host) {
  return [how = tls::Secured{std::move(context), std::move(host)}](boost::asio::io_context& io) {
    return std::make_unique<TlsWire>(io, how);
  };
}

std::unique_ptr<Wire> tcp_wire(boost::asio::io_context& io) { return std::make_unique<TcpWire>(io); }

}  // namespace sluice::http
