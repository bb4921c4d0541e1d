#include "common/control/rpc.h"

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "common/control/messages.h"
#include "common/json/cbor_fields.h"
#include "common/net/address.h"

namespace sluice::control {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using nlohmann::json;

/// Walks CBOR without recursion: bounds nesting and refuses what we never send (tags, indefinite lengths).
Result<> check_cbor(std::span<const std::uint8_t> in) {
  std::array<std::uint64_t, kMaxDepth> left{};  // items still open per level
  int depth = 0;
  std::size_t pos = 0;
  std::uint64_t want = 1;
  while (true) {
    while (want == 0) {
      if (depth == 0) {
        if (pos != in.size())
          return fail(Errc::data_corrupt, "control message: {} bytes after the value", in.size() - pos);
        return {};
      }
      want = left[static_cast<std::size_t>(--depth)];
    }
    if (pos >= in.size()) return fail(Errc::data_corrupt, "control message: truncated");
    const std::uint8_t head = in[pos++];
    const int major = head >> 5;
    const int info = head & 31;
    std::uint64_t arg = static_cast<std::uint64_t>(info);
    if (info >= 24) {
      if (info > 27) return fail(Errc::data_corrupt, "control message: indefinite or reserved length");
      const std::size_t n = std::size_t{1} << (info - 24);
      if (n > in.size() - pos) return fail(Errc::data_corrupt, "control message: truncated");
      arg = 0;
      for (std::size_t i = 0; i < n; ++i) arg = arg << 8 | in[pos + i];
      pos += n;
    }
    --want;
    if (major == 6) return fail(Errc::data_corrupt, "control message: tags are not allowed");
    if (major == 2 || major == 3) {
      if (arg > in.size() - pos) return fail(Errc::data_corrupt, "control message: truncated string");
      pos += arg;
    } else if (major == 4 || major == 5) {
      // Each item takes at least one byte, so a count beyond the rest is a lie.
      const std::uint64_t items = major == 5 && arg <= in.size() ? 2 * arg : arg;
      if (items > in.size() - pos)
        return fail(Errc::data_corrupt, "control message: container longer than the message");
      if (depth == kMaxDepth) return fail(Errc::data_corrupt, "control message: nested deeper than {}", kMaxDepth);
      left[static_cast<std::size_t>(depth++)] = want;
      want = items;
    }
  }
}

constexpr std::size_t kLengthBytes = 4;

void put_u32(std::uint8_t* p, std::uint32_t v) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(v >> (8 * i));
}
std::uint32_t get_u32(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

/// A record of TLS (handshake or alert, then its version) instead of the first message's length. As a length it would
/// be 64 KiB at the least: no connection begins with such a message, but any later one may be of any length.
bool speaks_tls(const std::uint8_t* p) {
  return (p[0] == 0x16 || p[0] == 0x15) && p[1] == 0x03 && p[2] >= 0x01 && p[2] <= 0x04;
}

}  // namespace

Result<json> decode_cbor(std::span<const std::uint8_t> bytes) {
  SLUICE_TRY(check_cbor(bytes));
  json j = json::from_cbor(bytes.begin(), bytes.end(), true, false);
  if (j.is_discarded()) return fail(Errc::data_corrupt, "control message: not valid CBOR");
  return j;
}

Connection::Connection(tls::Stream stream, Handlers handlers)
    : stream_(std::move(stream)), handlers_(std::move(handlers)) {
  boost::system::error_code ec;
  stream_.socket().set_option(tcp::no_delay(true), ec);
}

std::string Connection::peer() const {
  boost::system::error_code ec;
  const auto ep = stream_.socket().remote_endpoint(ec);
  return ec ? std::string("?") : net::host_port(ep.address().to_string(), ep.port());
}

void Connection::start() {
  if (stream_.secure()) return shake_hands();
  ready_ = true;
  if (!out_.empty()) write_next();
  read();
}

void Connection::shake_hands() {
  auto limit = std::make_shared<asio::steady_timer>(stream_.get_executor(), kHandshakeTimeout);
  limit->async_wait([weak = weak_from_this()](boost::system::error_code ec) {
    if (const auto self = weak.lock(); self && !ec)
      self->close(Error{Errc::unavailable, "the TLS handshake took too long", {}});
  });
  stream_.async_handshake([self = shared_from_this(), limit](boost::system::error_code ec) {
    limit->cancel();
    if (!self->open_) return;
    if (ec) return self->lost(ec);
    if (self->handlers_.admit)
      if (auto admitted = self->handlers_.admit(self->certificate()); !admitted) return self->close(admitted.error());
    self->ready_ = true;
    if (!self->out_.empty()) self->write_next();
    self->read();
  });
}

void Connection::lost(boost::system::error_code ec) {
  const std::string& tls = stream_.problem().message;
  close(Error{Errc::unavailable, "control connection lost: " + (tls.empty() ? ec.message() : tls), {}});
}

void Connection::read() {
  // Grown as bytes come, so that a length alone never costs memory, and given back after a large message.
  constexpr std::size_t kRoom = 32U << 10, kStep = 256U << 10;
  if (filled_ == 0 && in_.size() > kStep) std::vector<std::uint8_t>().swap(in_);
  in_.resize(filled_ + (filled_ < kRoom ? kRoom : kStep));
  stream_.async_read_some(asio::buffer(in_.data() + filled_, in_.size() - filled_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t n) {
                            if (!self->open_) return;
                            if (ec) return self->lost(ec);
                            self->filled_ += n;
                            self->take_messages();
                            if (self->open_) self->read();
                          });
}

std::optional<std::uint32_t> Connection::next_length() {
  if (filled_ - taken_ < kLengthBytes) return std::nullopt;
  const std::uint8_t* head = in_.data() + taken_;
  if (!std::exchange(heard_, true) && !stream_.secure() && speaks_tls(head)) {
    close(Error{Errc::unavailable,
                "the peer speaks TLS and this end does not: --cluster-cert, --cluster-key and --cluster-ca go to all "
                "daemons",
                {}});
    return std::nullopt;
  }
  const std::uint32_t n = get_u32(head);
  if (n > 0 && n <= kMaxFrame) return n;
  close(Error{Errc::data_corrupt, fmt::format("control frame of {} bytes (limit {})", n, kMaxFrame), {}});
  return std::nullopt;
}

void Connection::take_messages() {
  while (open_) {
    const auto n = next_length();
    if (!n || filled_ - taken_ - kLengthBytes < *n) break;
    const std::span message(in_.data() + taken_ + kLengthBytes, *n);
    taken_ += kLengthBytes + *n;
    dispatch(message);
  }
  // What has begun to come is the next one's begin.
  if (taken_ > 0) std::memmove(in_.data(), in_.data() + taken_, filled_ - taken_);
  filled_ -= std::exchange(taken_, 0);
}

void Connection::dispatch(std::span<const std::uint8_t> bytes) {
  if (handlers_.on_raw && handlers_.on_raw(bytes)) return;
  auto decoded = decode_cbor(bytes);
  if (!decoded) return close(decoded.error());
  json& m = *decoded;
  if (!m.is_object()) return close(Error{Errc::data_corrupt, "control message is not a map", {}});
  if (m.contains("re")) return dispatch_reply(m);
  if (!m.contains("t") || !m["t"].is_string())
    return close(Error{Errc::data_corrupt, "control message without a type", {}});
  const std::string type = m["t"].get<std::string>();
  json body = m.contains("b") ? std::move(m["b"]) : json(nullptr);
  if (!m.contains("id")) {
    if (handlers_.on_notify) handlers_.on_notify(type, std::move(body));
    return;
  }
  if (!m["id"].is_number_unsigned()) return close(Error{Errc::data_corrupt, "control call with a bad id", {}});
  const auto id = m["id"].get<std::uint64_t>();
  Reply reply = [weak = weak_from_this(), id](Result<json> r) {
    const auto self = weak.lock();
    if (!self || !self->open_) return;
    if (r) {
      self->send({{"re", id}, {"b", std::move(*r)}});
    } else {
      self->send({{"re", id}, {"e", to_json(r.error())}});
    }
  };
  if (!handlers_.on_call) return reply(fail(Errc::unsupported, "no calls are answered on this connection"));
  handlers_.on_call(type, std::move(body), std::move(reply));
}

void Connection::dispatch_reply(json& m) {
  if (!m["re"].is_number_unsigned()) return close(Error{Errc::data_corrupt, "control reply with a bad id", {}});
  const auto it = pending_.find(m["re"].get<std::uint64_t>());
  if (it == pending_.end()) return;  // answered after its timeout
  Pending p = std::move(it->second);
  pending_.erase(it);
  if (p.timer) p.timer->cancel();
  if (m.contains("e")) {
    const Error unreadable{Errc::internal, "the peer answered with an error that cannot be read", {}};
    p.done(std::unexpected(parse<Error>(m["e"]).value_or(unreadable)));
  } else {
    p.done(m.contains("b") ? std::move(m["b"]) : json(nullptr));
  }
}

std::uint64_t Connection::await(const std::string& type, std::chrono::milliseconds timeout, Reply done) {
  const std::uint64_t id = next_id_++;
  Pending p{std::move(done), std::make_unique<asio::steady_timer>(stream_.get_executor())};
  p.timer->expires_after(timeout);
  p.timer->async_wait([weak = weak_from_this(), id, type](boost::system::error_code ec) {
    const auto self = weak.lock();
    if (ec || !self) return;
    const auto it = self->pending_.find(id);
    if (it == self->pending_.end()) return;
    Reply d = std::move(it->second.done);
    self->pending_.erase(it);
    d(fail(Errc::deadline_exceeded, "control call '{}' was not answered in time", type));
  });
  pending_.emplace(id, std::move(p));
  return id;
}

void Connection::call(const std::string& type, json body, std::chrono::milliseconds timeout, Reply done) {
  if (!open_) return done(fail(Errc::unavailable, "control connection is closed"));
  const std::uint64_t id = await(type, timeout, std::move(done));
  send({{"t", type}, {"id", id}, {"b", std::move(body)}});
}

void Connection::call(const std::string& type, const Encoded& body, std::chrono::milliseconds timeout, Reply done) {
  if (!open_) return done(fail(Errc::unavailable, "control connection is closed"));
  const std::uint64_t id = await(type, timeout, std::move(done));
  std::vector<std::uint8_t> frame(kLengthBytes);
  frame.reserve(kLengthBytes + body.cbor.size() + type.size() + 32);
  CborOut out(frame);
  out.head(CborOut::kMap, 3);
  out.text("t");
  out.text(type);
  out.text("id");
  out.number(id);
  out.text("b");
  frame.insert(frame.end(), body.cbor.begin(), body.cbor.end());
  send(std::move(frame));
}

void Connection::notify(const std::string& type, json body) {
  if (open_) send({{"t", type}, {"b", std::move(body)}});
}

void Connection::send(const json& m) {
  std::vector<std::uint8_t> frame(kLengthBytes);
  json::to_cbor(m, frame);
  send(std::move(frame));
}

void Connection::send(std::vector<std::uint8_t> frame) {
  const std::size_t n = frame.size() - kLengthBytes;
  if (n > kMaxFrame)
    return close(Error{Errc::internal, fmt::format("control frame of {} bytes is over the limit", n), {}});
  put_u32(frame.data(), static_cast<std::uint32_t>(n));
  queued_ += frame.size();
  if (queued_ > kMaxQueued) return close(Error{Errc::unavailable, "control peer does not read; disconnected", {}});
  out_.push_back(std::move(frame));
  if (out_.size() == 1 && ready_) write_next();
}

void Connection::write_next() {
  asio::async_write(stream_, asio::buffer(out_.front()),
                    [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                      if (!self->open_) return;
                      if (ec) return self->lost(ec);
                      self->queued_ -= self->out_.front().size();
                      self->out_.pop_front();
                      if (!self->out_.empty()) self->write_next();
                    });
}

void Connection::close(const Error& why) {
  if (!open_) return;
  open_ = false;
  const auto keep = shared_from_this();
  boost::system::error_code ec;
  stream_.end_sending();
  stream_.socket().shutdown(tcp::socket::shutdown_both, ec);
  stream_.close();
  auto pending = std::move(pending_);
  pending_.clear();
  for (auto& [id, p] : pending) p.done(std::unexpected(Error{Errc::unavailable, why.message, {}}));
  // Handlers may own this connection's owner: drop them so that no cycle survives, but only once the stack is unwound,
  // since close() may be running inside one of them.
  auto h = std::make_shared<Handlers>(std::exchange(handlers_, {}));
  asio::post(stream_.get_executor(), [keep, h, why] {
    if (h->on_close) h->on_close(why);
  });
}

}  // namespace sluice::control
