#include "common/http/wire.h"

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

}  // namespace

std::unique_ptr<Wire> tcp_wire(boost::asio::io_context& io) { return std::make_unique<TcpWire>(io); }

}  // namespace sluice::http
