#include "kvtransfer/transport/greeting.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>

namespace sluice::kv {
namespace {

// Versions: without and with a proof, which follows the prefix.
constexpr std::uint16_t kPlain = 1, kProven = 2;

struct Prefix {
  std::uint64_t magic = 0x31564b6563696c53;  // "SliceKV1"
  std::uint16_t version = kPlain;
  std::uint16_t reserved = 0;
  std::uint32_t fabric_bytes = 0;
  std::uint64_t key = 0;
};
static_assert(sizeof(Prefix) == 24 && std::endian::native == std::endian::little);

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN || errno == EINPROGRESS; }

std::unexpected<Error> socket_error(const char* what) {
  return fail(Errc::unavailable, "{}: {}", what, std::strerror(errno));
}

void set(int fd, int level, int option, int value) { (void)setsockopt(fd, level, option, &value, sizeof value); }

/// The lifeline carries nothing, so only the kernel's probes notice a host that went silent: after about 3 s.
void keep_alive(int fd) {
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

}  // namespace

Digest prove(const std::string& admission_key, const Greeting& g, std::uint64_t answers) {
  std::vector<std::byte> text;
  for (const std::uint64_t word : {g.key, answers}) {
    const auto bytes = std::as_bytes(std::span(&word, 1));
    text.insert(text.end(), bytes.begin(), bytes.end());
  }
  text.insert(text.end(), g.fabric.begin(), g.fabric.end());
  return hmac_sha256(std::as_bytes(std::span(admission_key)), text);
}

bool proves(const std::string& admission_key, const Greeting& g, std::uint64_t answers) {
  return g.proof && same_digest(*g.proof, prove(admission_key, g, answers));
}

Result<SockAddr> SockAddr::resolve(const net::Address& a) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int rc = getaddrinfo(a.host.c_str(), std::to_string(a.port).c_str(), &hints, &found); rc != 0)
    return fail(Errc::unavailable, "cannot resolve '{}': {}", a.host, gai_strerror(rc));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  SockAddr s;
  std::memcpy(&s.storage_, list->ai_addr, list->ai_addrlen);
  s.size_ = list->ai_addrlen;
  return s;
}

GreetingSocket::GreetingSocket(FileDescriptor accepted) : fd_(std::move(accepted)) { keep_alive(fd_.get()); }

Result<GreetingSocket> GreetingSocket::connect(const SockAddr& to, const Greeting& ours) {
  GreetingSocket s(FileDescriptor(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
  if (s.fd() < 0) return socket_error("opening a socket");
  if (::connect(s.fd(), to.get(), to.size()) != 0 && errno != EINPROGRESS) return socket_error("connecting");
  s.say(ours);
  return s;
}

void GreetingSocket::say(const Greeting& ours) {
  Prefix p;
  p.fabric_bytes = static_cast<std::uint32_t>(ours.fabric.size());
  p.key = ours.key;
  p.version = ours.proof ? kProven : kPlain;
  const auto prefix = std::as_bytes(std::span(&p, 1));
  out_.assign(prefix.begin(), prefix.end());
  if (ours.proof) {
    const auto proof = std::as_bytes(std::span(*ours.proof));
    out_.insert(out_.end(), proof.begin(), proof.end());
  }
  out_.insert(out_.end(), ours.fabric.begin(), ours.fabric.end());
}

Result<> GreetingSocket::flush() {
  while (!out_.empty()) {
    const auto n = ::send(fd(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (n < 0 && would_block()) return {};
    if (n < 0) return socket_error("greeting the peer");
    out_.erase(out_.begin(), out_.begin() + n);
  }
  return {};
}

Result<std::optional<Greeting>> GreetingSocket::advance() {
  SLUICE_TRY(flush());
  for (;;) {
    std::array<std::byte, 4096> chunk;
    const auto n = ::recv(fd(), chunk.data(), chunk.size(), 0);
    if (n < 0 && would_block()) break;
    if (n < 0) return socket_error("the peer is gone");
    if (n == 0) return fail(Errc::unavailable, "the peer is gone");
    if (greeted_ || in_.size() + static_cast<std::size_t>(n) > sizeof(Prefix) + sizeof(Digest) + kMaxFabricAddress)
      return fail(Errc::data_corrupt, "more bytes than a greeting has");
    in_.insert(in_.end(), chunk.begin(), chunk.begin() + n);
  }
  return parse();
}

Result<std::optional<Greeting>> GreetingSocket::parse() {
  Prefix p;
  const Prefix expected;
  if (greeted_ || in_.size() < sizeof p) return std::nullopt;
  std::memcpy(&p, in_.data(), sizeof p);
  if (p.magic != expected.magic || (p.version != kPlain && p.version != kProven) || p.fabric_bytes > kMaxFabricAddress)
    return fail(Errc::data_corrupt, "not a greeting of this protocol");
  const std::size_t head = sizeof p + (p.version == kProven ? sizeof(Digest) : 0);
  if (in_.size() < head + p.fabric_bytes) return std::nullopt;
  if (in_.size() > head + p.fabric_bytes) return fail(Errc::data_corrupt, "more bytes than a greeting has");
  greeted_ = true;
  Greeting g{p.key, {in_.begin() + static_cast<std::ptrdiff_t>(head), in_.end()}, {}};
  if (p.version == kProven) std::memcpy(g.proof.emplace().data(), in_.data() + sizeof p, sizeof(Digest));
  in_ = {};
  return g;
}

std::string GreetingSocket::peer(bool with_port) const {
  sockaddr_storage at{};
  socklen_t n = sizeof at;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  auto* const p = reinterpret_cast<sockaddr*>(&at);
  if (getpeername(fd_.get(), p, &n) != 0 ||
      getnameinfo(p, n, host.data(), host.size(), port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown";
  if (!with_port) return host.data();
  return net::Address{host.data(), static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10))}.str();
}

Result<GreetingListener> GreetingListener::create(const net::Address& at) {
  SLUICE_ASSIGN(const SockAddr where, SockAddr::resolve(at));
  GreetingListener l;
  l.fd_ = FileDescriptor(::socket(where.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (l.fd() < 0) return socket_error("opening a socket");
  set(l.fd(), SOL_SOCKET, SO_REUSEADDR, 1);  // a restarted daemon gets its port back
  if (::bind(l.fd(), where.get(), where.size()) != 0 || ::listen(l.fd(), SOMAXCONN) != 0) {
    const Errc code = errno == EADDRINUSE ? Errc::already_exists : Errc::unavailable;
    return fail(code, "cannot listen at {}: {}", at.str(), std::strerror(errno));
  }
  sockaddr_storage bound{};
  socklen_t n = sizeof bound;
  if (::getsockname(l.fd(), reinterpret_cast<sockaddr*>(&bound), &n) != 0) return socket_error("reading the port");
  l.port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                              : reinterpret_cast<sockaddr_in&>(bound).sin_port);
  return l;
}

Result<GreetingListener> GreetingListener::create(const net::Address& at, net::PortRange ports) {
  if (at.port != 0 || ports.first == 0) return create(at);
  const unsigned span = ports.last - ports.first + 1U;
  const unsigned start = std::random_device{}() % span;
  for (unsigned i = 0; i < span; ++i) {
    auto l = create({at.host, static_cast<std::uint16_t>(ports.first + (start + i) % span)});
    if (l || l.error().code != Errc::already_exists) return l;
  }
  return fail(Errc::resource_exhausted, "every port of {}-{} is taken", ports.first, ports.last);
}

std::optional<GreetingSocket> GreetingListener::accept() const {
  FileDescriptor s(::accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (s.get() < 0) return std::nullopt;
  return GreetingSocket(std::move(s));
}

}  // namespace sluice::kv
