#include "node/node_link.h"

#include <boost/asio/connect.hpp>

#include "common/log.h"
#include "common/net/address.h"

namespace sluice::node {

using namespace control;
namespace {

// A partition that healed is over within their sum.
constexpr std::chrono::milliseconds kLeastBackoff{100}, kMaxBackoff{500}, kConnectTimeout{1000};
constexpr std::chrono::seconds kSayAgain{30};
constexpr std::chrono::milliseconds kRegisterTimeout{5000};

bool heals_by_waiting(Errc c) {
  return c == Errc::unavailable || c == Errc::deadline_exceeded || c == Errc::resource_exhausted ||
         c == Errc::internal || c == Errc::already_exists;  // our own older connection has not timed out yet
}

/// Before the cluster token and anything else is told it.
Result<> must_be_coordinator(const std::optional<tls::Peer>& peer) {
  if (peer && peer->has_role("coordinator")) return {};
  return fail(Errc::permission_denied, "the certificate there ({}) is no coordinator's: it lacks {}coordinator",
              peer ? peer->subject : "none", tls::kRoleUri);
}

}  // namespace

using boost::asio::ip::tcp;

NodeLink::NodeLink(boost::asio::io_context& io, std::string coordinator, RegisterRequest me, Handlers handlers,
                   std::shared_ptr<tls::Source> tls)
    : io_(io),
      coordinator_(std::move(coordinator)),
      me_(std::move(me)),
      handlers_(std::move(handlers)),
      tls_(std::move(tls)),
      timer_(io),
      attempt_(io),
      resolver_(io) {}

void NodeLink::start() { connect(); }

void NodeLink::stop() {
  stopped_ = true;
  up_ = false;
  timer_.cancel();
  attempt_.cancel();
  resolver_.cancel();
  if (conn_) conn_->close(Error{Errc::cancelled, "node stops", {}});
}

void NodeLink::connect() {
  const auto at = net::parse_address(coordinator_);
  if (!at) {
    handlers_.on_refused(at.error());
    return;
  }
  // One ending for every way an attempt can fail: a resolver or a SYN into a partition is silent for minutes.
  auto socket = std::make_shared<tcp::socket>(io_);
  attempt_.expires_after(kConnectTimeout);
  attempt_.async_wait([this, socket](boost::system::error_code ec) {
    if (ec || stopped_) return;
    resolver_.cancel();
    boost::system::error_code ignored;
    socket->close(ignored);
  });
  resolver_.async_resolve(at->host, std::to_string(at->port),
                          [this, socket](boost::system::error_code ec, const tcp::resolver::results_type& found) {
                            if (stopped_) return;
                            if (ec) {
                              attempt_.cancel();
                              return retry(Error{Errc::unavailable, "cannot resolve its name: " + ec.message(), {}});
                            }
                            boost::asio::async_connect(
                                *socket, found, [this, socket](boost::system::error_code ec2, const tcp::endpoint&) {
                                  if (stopped_) return;
                                  attempt_.cancel();
                                  if (!ec2) return talk(std::move(*socket));
                                  const bool silent = ec2 == boost::asio::error::operation_aborted;
                                  retry(Error{Errc::unavailable, silent ? "no answer" : ec2.message(), {}});
                                });
                          });
}

void NodeLink::talk(tcp::socket socket) {
  heard_ = std::chrono::steady_clock::now();
  conn_ = std::make_shared<Connection>(
      tls::Stream(std::move(socket), tls_ ? tls::Secured{tls_->current()} : tls::Secured{}),
      Connection::Handlers{
          .on_call =
              [this](const std::string& t, nlohmann::json b, Connection::Reply r) {
                heard_ = std::chrono::steady_clock::now();
                handlers_.on_call(t, std::move(b), std::move(r));
              },
          .on_notify = [this](const std::string&, const nlohmann::json&) { heard_ = std::chrono::steady_clock::now(); },
          .on_close =
              [this](const Error& e) {
                // What it sent was no TLS to a coordinator that expects it, which just hangs up.
                if (!up_ && !tls_ && e.code == Errc::unavailable)
                  return retry(Error{e.code, e.message + " (if it has --cluster-cert, this node needs one, too)", {}});
                retry(e);
              },
          .admit = must_be_coordinator});
  conn_->start();
  conn_->call(type::kRegister, to_json(me_), kRegisterTimeout,
              [this](Result<nlohmann::json> r) { registered(std::move(r)); });
}

void NodeLink::registered(Result<nlohmann::json> reply) {
  if (stopped_) return;
  auto parsed = reply ? parse<RegisterReply>(*reply) : Result<RegisterReply>(std::unexpected(reply.error()));
  if (!parsed) {
    if (!heals_by_waiting(parsed.error().code)) {
      stopped_ = true;
      handlers_.on_refused(parsed.error());
      return;
    }
    conn_->close(Error{parsed.error().code, "registration failed: " + parsed.error().message, {}});  // retry() says it
    return;
  }
  up_ = true;
  said_.reset();
  backoff_ = kLeastBackoff;
  heartbeat_ = std::chrono::milliseconds(std::max<std::uint32_t>(parsed->heartbeat_ms, 10));
  leg_space_ = parsed->leg_space;
  silence_.reset();
  if (parsed->echoes) silence_ = std::max(std::chrono::milliseconds(parsed->lease_ms), 2 * heartbeat_);
  heard_ = std::chrono::steady_clock::now();
  log::info("registered", {{"coordinator", coordinator_}});
  beat();
}

void NodeLink::retry(const Error& why) {
  if (stopped_) return;
  const auto now = std::chrono::steady_clock::now();
  if (up_) {
    log::warn("coordinator lost; reconnecting", {{"coordinator", coordinator_}, {"why", why.message}});
    up_ = false;
    said_ = now;
    handlers_.on_lost();
  } else if (!said_ || now - *said_ >= kSayAgain || why.message != said_why_) {
    log::warn("cannot join the coordinator; will retry", {{"coordinator", coordinator_}, {"why", why.message}});
    said_ = now;
    said_why_ = why.message;
  }
  timer_.expires_after(backoff_);
  backoff_ = std::min(backoff_ * 2, kMaxBackoff);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec && !stopped_) connect();
  });
}

void NodeLink::beat() {
  if (!up_ || stopped_) return;
  if (silence_ && std::chrono::steady_clock::now() - heard_ > *silence_)
    return conn_->close(Error{Errc::unavailable, fmt::format("nothing heard for {} ms", silence_->count()), {}});
  conn_->notify(type::kHeartbeat, to_json(handlers_.heartbeat()));
  timer_.expires_after(heartbeat_);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) beat();
  });
}

void NodeLink::beat_now() {
  if (up_ && !stopped_) conn_->notify(type::kHeartbeat, to_json(handlers_.heartbeat()));
}

void NodeLink::notify(const char* type, nlohmann::json body) {
  if (up_) conn_->notify(type, std::move(body));
}

}  // namespace sluice::node
