#include "tools/bench/front_clients.h"

#include <algorithm>
#include <boost/asio/write.hpp>
#include <string_view>

#include "common/net/address.h"

namespace sluice::bench {

namespace asio = boost::asio;
using boost::system::error_code;

Result<std::unique_ptr<FrontClients>> FrontClients::connect(asio::io_context& io, const std::string& address,
                                                            std::size_t count) {
  SLUICE_ASSIGN(const auto at, net::parse_address(address));
  auto all = std::make_unique<FrontClients>();
  error_code ec;
  const asio::ip::tcp::endpoint to(asio::ip::make_address(at.host, ec), at.port);
  for (std::size_t i = 0; i < count; ++i) {
    auto& c = all->clients_.emplace_back(std::make_unique<Client>(io));
    c->socket.connect(to, ec);
    if (ec) return fail(Errc::unavailable, "client {} cannot connect to {}: {}", i, address, ec.message());
    c->socket.set_option(asio::ip::tcp::no_delay(true), ec);
    all->read(i);
  }
  return all;
}

void FrontClients::ask(std::size_t client, std::string request) {
  Client& c = *clients_[client];
  c.request = std::move(request);
  c.read = c.events = 0;
  c.ended = false;
  asio::async_write(c.socket, asio::buffer(c.request), [](error_code, std::size_t) {});
}

void FrontClients::read(std::size_t client) {
  Client& c = *clients_[client];
  c.socket.async_read_some(asio::buffer(c.chunk), [this, client](error_code ec, std::size_t n) {
    if (ec == asio::error::operation_aborted) return;
    if (ec) return events_.broken(client, ec.message());
    take(client, n);
    read(client);
  });
}

void FrontClients::take(std::size_t client, std::size_t bytes) {
  constexpr std::string_view kGood = "HTTP/1.1 200", kEnd = "0\r\n\r\n";
  const WallTime now = std::chrono::steady_clock::now();
  Client& c = *clients_[client];
  const std::string_view text(c.chunk.data(), bytes);
  bytes_ += bytes;
  if (c.read == 0 && !text.starts_with(kGood)) return events_.broken(client, std::string(text));
  c.read += bytes;
  // An event ends with an empty line of "\n"; nothing else in head, framing or JSON has two of them in a row.
  char before = c.last.back();
  for (std::size_t at = 0; at < text.size(); before = text[at++])
    if (text[at] == '\n' && before == '\n') events_.on_event(client, ++c.events, now);
  const std::size_t fresh = std::min(text.size(), c.last.size());
  std::rotate(c.last.begin(), c.last.begin() + static_cast<std::ptrdiff_t>(fresh), c.last.end());
  std::ranges::copy(text.substr(text.size() - fresh), c.last.end() - static_cast<std::ptrdiff_t>(fresh));
  if (c.ended || c.events == 0 || std::string_view(c.last.data(), c.last.size()) != kEnd) return;
  c.ended = true;
  events_.on_end(client);
}

std::string stream_request(std::size_t client, std::size_t max_tokens) {
  const std::string body = fmt::format(
      R"({{"model":"bench","messages":[{{"role":"user","content":"Which of these words comes first in a list by letters: )"
      R"(pear, apple or plum?"}}],"max_tokens":{},"temperature":0,"stream":true}})",
      max_tokens);
  return fmt::format(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nuser-agent: sluice-bench\r\naccept: */*\r\n"
      "content-type: application/json\r\nx-request-id: {}\r\ncontent-length: {}\r\n\r\n{}",
      kFirstClient + client, body.size(), body);
}

}  // namespace sluice::bench
