#include "common/http/async_client.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <optional>

#include "common/net/address.h"

namespace sluice::http {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t kMaxBody = 256U << 20U;
constexpr std::size_t kInput = 16U << 10U;  // the largest header, too

Result<std::string> text_of(const ClientRequest& q, const std::string& address) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", q.method, q.target, address);
  for (const auto& [name, value] : q.headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos)
      return fail(Errc::invalid_argument, "header '{}' holds a line break", name.substr(0, name.find_first_of("\r\n")));
    text += fmt::format("{}: {}\r\n", name, value);
  }
  if (!q.body.empty() || q.method == "POST" || q.method == "PUT")
    text += fmt::format("Content-Length: {}\r\n", q.body.size());
  return text + "\r\n" + q.body;
}

}  // namespace

/// One connection, and the request on it. Handlers hold it alive; after end() they find that they are late.
class AsyncClient::Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(AsyncClient& client) : client_(&client), wire_(client.options_.make_wire(client.io_)) {}

  /// A new request on a connection that may be open.
  void take(std::string text, bool head, OnBody on_body, OnDone on_done) {
    out_ = std::move(text);
    head_ = head;
    on_body_ = std::move(on_body);
    on_done_ = std::move(on_done);
  }
  void go() {
    ++round_;
    parser_.emplace();
    parser_->body_limit(kMaxBody);
    parser_->skip(head_);
    response_ = {};
    streamed_ = false;
    sent_ = left_ = 0;
    moved();
    reused_ = open_;
    if (open_)
      exchange();
    else
      connect(0);
  }
  [[nodiscard]] bool late(Clock::time_point now) const { return now - last_ > client_->options_.timeout; }
  void give_up() {
    fail_with(fail(Errc::deadline_exceeded, "no progress within {} ms of {}", client_->options_.timeout.count(),
                   client_->options_.address));
  }
  /// The client is going: no callback any more.
  void drop() noexcept {
    ++round_;
    client_ = nullptr;
    on_done_ = nullptr;
    on_body_ = nullptr;
    wire_->close();
  }

 private:
  void moved() { last_ = Clock::now(); }
  /// Whether a handler of round `r` still has something to do.
  [[nodiscard]] bool current(std::uint64_t r) const { return r == round_ && client_ != nullptr; }

  void connect(std::size_t i) {
    if (i == client_->endpoints_.size())
      return fail_with(
          fail(Errc::unavailable, "cannot connect to {}: {}", client_->options_.address, refused_.message()));
    if (i > 0) {
      wire_->close();
      wire_ = client_->options_.make_wire(client_->io_);
    }
    wire_->connect(client_->endpoints_[i], [self = shared_from_this(), r = round_, i](error_code ec) {
      if (!self->current(r)) return;
      self->moved();
      self->refused_ = ec;
      if (ec) return self->connect(i + 1);
      self->open_ = true;
      self->exchange();
    });
  }

  void exchange() {
    send();
    receive();
  }
  void send() {
    if (sent_ == out_.size()) return;
    wire_->write_some(asio::buffer(out_.data() + sent_, out_.size() - sent_),
                      [self = shared_from_this(), r = round_](error_code ec, std::size_t n) {
                        if (!self->current(r) || ec) return;  // the answer, or its absence, says what is wrong
                        self->moved();
                        self->sent_ += n;
                        self->send();
                      });
  }
  void receive() {
    wire_->read_some(asio::buffer(input_.data() + left_, input_.size() - left_),
                     [self = shared_from_this(), r = round_](error_code ec, std::size_t n) {
                       if (self->current(r)) self->came(ec, n);
                     });
  }

  void came(error_code ec, std::size_t n) {
    moved();
    if (ec || n == 0) return ended(ec);
    const std::string_view bytes = std::string_view(input_).substr(0, left_ + n);
    left_ = 0;
    const std::uint64_t mine = round_;
    if (auto read = parse(bytes); !read) return fail_with(std::unexpected(std::move(read).error()));
    if (!parser_->is_header_done()) return receive();
    if (response_.status == 0) take_head();
    std::string& body = parser_->get().body();
    if (streamed_ && !body.empty()) {
      if (!on_body_(body)) return fail_with(fail(Errc::cancelled, "hung up"));
      if (!current(mine)) return;
      body.clear();
    }
    if (!parser_->is_done()) return receive();
    finish();
  }

  /// Nothing more comes.
  void ended(error_code ec) {
    if (!parser_->got_some() && reused_) {  // closed while it was idle; the request goes out once more
      wire_->close();
      wire_ = client_->options_.make_wire(client_->io_);
      open_ = false;
      return go();
    }
    error_code unfinished = ec;
    if (ec == asio::error::eof && parser_->got_some()) {
      unfinished.clear();
      parser_->put_eof(unfinished);
    }
    const bool begun = parser_->is_header_done();
    if (unfinished || !parser_->is_done())
      return fail_with(fail(Errc::unavailable, "{} {}: {}", begun ? "answer cut short by" : "no answer from",
                            client_->options_.address, ec == asio::error::eof || !ec ? "end of stream" : ec.message()));
    open_ = false;
    finish();
  }

  /// Gives the parser what came; what it does not take yet is kept for the next time.
  Result<> parse(std::string_view bytes) {
    while (!bytes.empty() && !parser_->is_done()) {
      error_code ec;
      const std::size_t taken = parser_->put(asio::buffer(bytes), ec);
      bytes.remove_prefix(taken);
      if (ec == bhttp::error::need_more) break;
      if (ec) return fail(Errc::unavailable, "no HTTP answer from {}: {}", client_->options_.address, ec.message());
    }
    if (parser_->is_done()) {
      open_ = open_ && bytes.empty();  // more than an answer: nothing to build the next one on
      return {};
    }
    if (bytes.size() == input_.size())
      return fail(Errc::unavailable, "no HTTP answer from {}: its header is too large", client_->options_.address);
    std::ranges::copy(bytes, input_.begin());
    left_ = bytes.size();
    return {};
  }

  void take_head() {
    const auto& m = parser_->get();
    response_.status = static_cast<int>(m.result_int());
    for (const auto& f : m.base()) {
      std::string key(f.name_string());
      std::ranges::transform(key, key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      response_.headers[key] = std::string(f.value());
    }
    streamed_ = response_.status / 100 == 2;
  }

  void finish() {
    response_.body = std::move(parser_->get().body());
    const bool again = open_ && sent_ == out_.size() && parser_->keep_alive();
    end(std::move(response_), again);
  }
  void fail_with(std::unexpected<Error> e) { end(std::move(e), false); }

  void end(Result<ClientResponse> r, bool again) {
    ++round_;
    const auto self = shared_from_this();
    AsyncClient& client = *client_;
    const OnDone done = std::exchange(on_done_, nullptr);
    on_body_ = nullptr;
    if (!again) {
      open_ = false;
      wire_->close();
    }
    client.busy_.erase(self);
    if (again) client.idle_.push_back(self);
    done(std::move(r));  // may start the next request on this very connection
  }

  AsyncClient* client_;
  std::unique_ptr<Wire> wire_;
  bool open_ = false;
  bool reused_ = false;      // the request found it open
  std::uint64_t round_ = 0;  // counts requests and their ends: a handler of an older one is late
  error_code refused_;
  std::string out_;
  std::size_t sent_ = 0;
  bool head_ = false;
  OnBody on_body_;
  OnDone on_done_;
  std::optional<bhttp::response_parser<bhttp::string_body>> parser_;
  ClientResponse response_;
  bool streamed_ = false;
  std::string input_ = std::string(kInput, '\0');
  std::size_t left_ = 0;  // bytes at its begin that the parser has not taken
  Clock::time_point last_;
};

AsyncClient::AsyncClient(asio::io_context& io, Options options) : io_(io), options_(std::move(options)), watch_(io) {}

AsyncClient::~AsyncClient() {
  for (const auto& c : busy_) c->drop();
  for (const auto& c : idle_) c->drop();
}

Result<> AsyncClient::resolve() {
  SLUICE_ASSIGN(const auto at, net::parse_listen_address(options_.address));
  error_code ec;
  tcp::resolver resolver(io_);
  const auto found = resolver.resolve(at.host.empty() ? "127.0.0.1" : at.host, std::to_string(at.port), ec);
  if (ec) return fail(Errc::unavailable, "cannot resolve {}: {}", options_.address, ec.message());
  for (const auto& entry : found) endpoints_.push_back(entry.endpoint());
  if (endpoints_.empty()) return fail(Errc::unavailable, "{} has no address", options_.address);
  return {};
}

void AsyncClient::start(ClientRequest q, OnBody on_body, OnDone on_done) {
  auto text = text_of(q, options_.address);
  if (!text) {
    asio::post(io_, [e = std::move(text).error(), done = std::move(on_done)] { done(std::unexpected(e)); });
    return;
  }
  std::shared_ptr<Connection> c;
  if (idle_.empty()) {
    c = std::make_shared<Connection>(*this);
  } else {
    c = std::move(idle_.back());  // the one used last: the others may run into the server's idle timeout
    idle_.pop_back();
  }
  c->take(std::move(*text), q.method == "HEAD", std::move(on_body), std::move(on_done));
  run(std::move(c));
}

void AsyncClient::run(std::shared_ptr<Connection> c) {
  busy_.insert(c);
  c->go();
  watch();
}

void AsyncClient::watch() {
  if (std::exchange(watching_, true)) return;
  watch_.expires_after(
      std::clamp<Clock::duration>(options_.timeout / 4, std::chrono::milliseconds(10), std::chrono::seconds(1)));
  watch_.async_wait([this](error_code ec) {
    if (ec) return;
    watching_ = false;
    const auto now = Clock::now();
    std::vector<std::shared_ptr<Connection>> late;
    for (const auto& c : busy_)
      if (c->late(now)) late.push_back(c);
    for (const auto& c : late) c->give_up();
    if (!busy_.empty()) watch();
  });
}

}  // namespace sluice::http
