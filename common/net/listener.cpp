#include "common/net/listener.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "common/net/address.h"

namespace sluice::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr std::chrono::milliseconds kPause{50};
}

Listener::Listener(asio::io_context& io, const std::string& address, Accept accept)
    : acceptor_(io), pause_(io), accept_(std::move(accept)) {
  const Address at = or_throw(parse_listen_address(address));
  tcp::resolver resolver(io);
  const auto endpoint = at.host.empty()
                            ? tcp::endpoint(tcp::v4(), at.port)
                            : resolver.resolve(at.host, std::to_string(at.port), tcp::resolver::passive)->endpoint();
  acceptor_.open(endpoint.protocol());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  try {
    acceptor_.bind(endpoint);
    acceptor_.listen();
  } catch (const boost::system::system_error& e) {
    throw std::runtime_error(fmt::format("cannot listen on {}: {}", address, e.code().message()));
  }
  next();
}

std::string Listener::address() const {
  const auto ep = acceptor_.local_endpoint();
  return host_port(ep.address().to_string(), ep.port());
}

void Listener::next() {
  acceptor_.async_accept([this](boost::system::error_code ec, tcp::socket s) {
    if (ec == asio::error::operation_aborted) return;
    if (!ec) accept_(std::move(s));
    if (!acceptor_.is_open()) return;
    if (!ec) return next();
    // Out of descriptors, most likely: the next try would fail at once, and so on.
    pause_.expires_after(kPause);
    pause_.async_wait([this](boost::system::error_code stopped) {
      if (!stopped && acceptor_.is_open()) next();
    });
  });
}

void Listener::stop() {
  boost::system::error_code ec;
  acceptor_.close(ec);
  pause_.cancel();
}

}  // namespace sluice::net
