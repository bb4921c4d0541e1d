#include "tools/bench/front_relay.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>
#include <utility>

#include "common/net/address.h"
#include "common/net/listener.h"

namespace sluice::bench {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

void put_u32(char* to, std::uint32_t v) { std::memcpy(to, &v, sizeof v); }
std::uint32_t get_u32(const char* from) {
  std::uint32_t v = 0;
  std::memcpy(&v, from, sizeof v);
  return v;
}

std::string chunk(const std::string& payload) { return fmt::format("{:x}\r\n{}\r\n", payload.size(), payload); }

/// An event of that many bytes in all, framing included.
std::string event(std::size_t bytes) {
  constexpr std::size_t kFraming = 14;
  return chunk("data: " + std::string(bytes > kFraming ? bytes - kFraming : 1, 'x') + "\n\n");
}

struct Node {
  explicit Node(tcp::socket s) : socket(std::move(s)) {}
  tcp::socket socket;
  std::array<char, 4> length{};
  std::string body;             // owned by the outstanding read
  std::deque<std::string> out;  // the first is owned by the outstanding write
};

struct Client {
  Client(tcp::socket s, std::size_t request) : socket(std::move(s)), request(request, '\0') {}
  tcp::socket socket;
  std::string request;  // owned by the outstanding read
  std::string writing;  // owned by the outstanding write
  std::string queued;
  bool begun = false;
};

class Relay {
 public:
  explicit Relay(const RelaySizes& sizes)
      : sizes_(sizes),
        head_("HTTP/1.1 200 OK\r\nx-padding: " + std::string(250, 'x') + "\r\n\r\n" + event(sizes.event)),
        event_(event(sizes.event)),
        tail_(event(sizes.event) + chunk("data: [DONE]\n\n") + "0\r\n\r\n"),
        clients_at_(io_, "127.0.0.1:0", [this](tcp::socket s) { take_client(std::move(s)); }),
        nodes_at_(io_, "127.0.0.1:0", [this](tcp::socket s) { take_node(std::move(s)); }),
        stdin_(io_, ::dup(0)) {}

  void run() {
    std::cout << clients_at_.address() << '\n' << nodes_at_.address() << std::endl;
    asio::async_read(stdin_, asio::buffer(byte_), [this](error_code, std::size_t) { io_.stop(); });
    io_.run();
  }

 private:
  void take_client(tcp::socket s) {
    s.set_option(tcp::no_delay(true));
    clients_.push_back(std::make_unique<Client>(std::move(s), sizes_.request));
    read_request(static_cast<std::uint32_t>(clients_.size() - 1));
  }
  void read_request(std::uint32_t client) {
    Client& c = *clients_[client];
    asio::async_read(c.socket, asio::buffer(c.request), [this, client](error_code ec, std::size_t) {
      if (ec || nodes_.empty()) return;
      clients_[client]->begun = false;
      send(*nodes_[client % nodes_.size()], {RelayWhat::reserve, {client}}, sizes_.reserve);
      read_request(client);
    });
  }
  void say(Client& c, const std::string& bytes) {
    c.queued += bytes;
    if (c.writing.empty()) write(c);
  }
  void write(Client& c) {
    c.writing.swap(c.queued);
    asio::async_write(c.socket, asio::buffer(c.writing), [this, &c](error_code ec, std::size_t) {
      c.writing.clear();
      if (!ec && !c.queued.empty()) write(c);
    });
  }

  void take_node(tcp::socket s) {
    s.set_option(tcp::no_delay(true));
    nodes_.push_back(std::make_unique<Node>(std::move(s)));
    read_node(*nodes_.back());
  }
  void read_node(Node& n) {
    asio::async_read(n.socket, asio::buffer(n.length), [this, &n](error_code ec, std::size_t) {
      if (ec) return;
      n.body.resize(frame_length(n.length.data()));
      asio::async_read(n.socket, asio::buffer(n.body), [this, &n](error_code ec2, std::size_t) {
        if (ec2) return;
        take(n, read_frame(n.body));
        read_node(n);
      });
    });
  }
  void take(Node& n, const RelayFrame& f) {
    if (f.what == RelayWhat::reserve) return send(n, {RelayWhat::prefill, f.clients}, sizes_.prefill);
    for (const std::uint32_t client : f.clients) {
      if (client >= clients_.size()) continue;
      Client& c = *clients_[client];
      if (f.what == RelayWhat::tokens) say(c, std::exchange(c.begun, true) ? event_ : head_ + event_);
      if (f.what == RelayWhat::end) say(c, tail_);
    }
  }
  static void send(Node& n, const RelayFrame& f, std::size_t bytes) {
    n.out.push_back(write_frame(f, bytes));
    if (n.out.size() == 1) write(n);
  }
  static void write(Node& n) {
    asio::async_write(n.socket, asio::buffer(n.out.front()), [&n](error_code ec, std::size_t) {
      n.out.pop_front();
      if (!ec && !n.out.empty()) write(n);
    });
  }

  asio::io_context io_{1};
  RelaySizes sizes_;
  std::string head_, event_, tail_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Node>> nodes_;
  net::Listener clients_at_, nodes_at_;
  asio::posix::stream_descriptor stdin_;
  std::array<char, 1> byte_{};
};

/// The other end of one of its connections.
class RelayNodes final : public FrontNodes {
 public:
  RelayNodes(asio::io_context& io, const NodeBytes& bytes) : io_(io), bytes_(bytes) {}

  Result<> connect(const std::string& address, std::size_t count) {
    SLUICE_ASSIGN(const auto at, net::parse_address(address));
    error_code ec;
    for (std::size_t i = 0; i < count; ++i) {
      auto& n = nodes_.emplace_back(std::make_unique<Node>(tcp::socket(io_)));
      n->socket.connect({asio::ip::make_address(at.host), at.port}, ec);
      if (ec) return fail(Errc::unavailable, "cannot connect to the relay: {}", ec.message());
      n->socket.set_option(tcp::no_delay(true), ec);
      read(i);
    }
    return {};
  }
  [[nodiscard]] bool ready() const override { return true; }
  void step(std::size_t node, const std::vector<std::size_t>& clients, std::uint32_t) override {
    send(node, {RelayWhat::tokens, {clients.begin(), clients.end()}}, bytes_.token * clients.size());
  }
  void finish(std::size_t node, std::size_t client) override {
    send(node, {RelayWhat::end, {static_cast<std::uint32_t>(client)}}, 0);
  }

 private:
  void read(std::size_t node) {
    Node& n = *nodes_[node];
    asio::async_read(n.socket, asio::buffer(n.length), [this, node, &n](error_code ec, std::size_t) {
      if (ec) return;
      n.body.resize(frame_length(n.length.data()));
      asio::async_read(n.socket, asio::buffer(n.body), [this, node, &n](error_code ec2, std::size_t) {
        if (ec2) return;
        const RelayFrame f = read_frame(n.body);
        if (f.what == RelayWhat::reserve) send(node, f, 0);
        if (f.what == RelayWhat::prefill) placed_(f.clients.at(0), node);
        read(node);
      });
    });
  }
  void send(std::size_t node, const RelayFrame& f, std::size_t bytes) {
    Node& n = *nodes_[node];
    n.out.push_back(write_frame(f, bytes));
    if (n.out.size() == 1) write(n);
  }
  void write(Node& n) {
    asio::async_write(n.socket, asio::buffer(n.out.front()), [this, &n](error_code ec, std::size_t) {
      n.out.pop_front();
      if (!ec && !n.out.empty()) write(n);
    });
  }

  asio::io_context& io_;
  NodeBytes bytes_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace

std::uint32_t frame_length(const char* head) { return get_u32(head); }

std::string write_frame(const RelayFrame& frame, std::size_t bytes) {
  std::string out(std::max(bytes, kRelayFrameHead + 4 * frame.clients.size()), '\0');
  put_u32(out.data(), static_cast<std::uint32_t>(out.size() - 4));
  out[4] = static_cast<char>(frame.what);
  put_u32(out.data() + 5, static_cast<std::uint32_t>(frame.clients.size()));
  for (std::size_t i = 0; i < frame.clients.size(); ++i)
    put_u32(out.data() + kRelayFrameHead + 4 * i, frame.clients[i]);
  return out;
}

RelayFrame read_frame(const std::string& body) {
  RelayFrame f;
  if (body.size() < kRelayFrameHead - 4) return f;
  f.what = static_cast<RelayWhat>(body[0]);
  const std::size_t count = std::min<std::size_t>(get_u32(body.data() + 1), (body.size() - 5) / 4);
  for (std::size_t i = 0; i < count; ++i) f.clients.push_back(get_u32(body.data() + 5 + 4 * i));
  return f;
}

std::vector<std::string> RelaySizes::arguments() const {
  return {std::to_string(request), std::to_string(reserve), std::to_string(prefill), std::to_string(event)};
}

Result<> run_relay(const std::vector<std::string>& a) {
  if (a.size() != 4) return fail(Errc::invalid_argument, "the relay takes four sizes");
  Relay({std::stoul(a[0]), std::stoul(a[1]), std::stoul(a[2]), std::stoul(a[3])}).run();
  return {};
}

Result<std::unique_ptr<FrontNodes>> join_relay(asio::io_context& io, const std::string& control, std::size_t decodes,
                                               const NodeBytes& bytes) {
  auto nodes = std::make_unique<RelayNodes>(io, bytes);
  SLUICE_TRY(nodes->connect(control, decodes));
  return nodes;
}

}  // namespace sluice::bench
