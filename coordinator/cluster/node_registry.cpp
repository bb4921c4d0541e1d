#include "coordinator/cluster/node_registry.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "common/control/tokens_reader.h"
#include "common/log.h"
#include "common/utf8.h"

namespace sluice::coordinator {

using control::Connection;

namespace {

constexpr std::size_t kMaxConnections = 4096;
constexpr std::chrono::seconds kRegisterPatience{10};

bool same_secret(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// They go into JSON: the state file, and the operator's API.
bool names_are_text(const control::RegisterRequest& r) {
  const auto text = [](std::string_view s) { return utf8_valid_prefix(s) == s.size(); };
  return text(r.node.value()) && text(r.model.name) && text(r.model.hash) &&
         std::ranges::all_of(r.profiles, text, &control::ProfileInfo::name);
}

}  // namespace

struct NodeRegistry::Peer {
  std::shared_ptr<Connection> conn;
  NodeId node;
  std::string from;  // its address
  TimePoint since;
  bool registered = false;
};

NodeRegistry::NodeRegistry(boost::asio::io_context& io, const Clock& clock, const RegistryOptions& o, ClusterView& view,
                           Events events)
    : clock_(clock),
      options_(o),
      view_(view),
      events_(std::move(events)),
      timer_(io),
      listener_(io, o.listen, [this](boost::asio::ip::tcp::socket s) { accept(std::move(s)); }) {
  check_leases();
}

NodeRegistry::~NodeRegistry() { stop(); }

void NodeRegistry::stop() {
  if (stopped_) return;
  stopped_ = true;
  timer_.cancel();
  listener_.stop();
  for (auto& weak : all_)
    if (const auto p = weak.lock()) p->conn->close(Error{Errc::cancelled, "coordinator stops", {}});
  peers_.clear();
}

void NodeRegistry::accept(boost::asio::ip::tcp::socket s) {
  std::erase_if(all_, [](const auto& w) { return w.expired(); });
  if (all_.size() >= kMaxConnections) drop_stranger();
  if (all_.size() >= 2 * kMaxConnections) return;  // the socket closes as it goes out of scope
  auto peer = std::make_shared<Peer>();
  peer->since = clock_.now();
  const auto secured = options_.tls ? tls::Secured{options_.tls->current(), {}, options_.handshakes} : tls::Secured{};
  peer->conn = std::make_shared<Connection>(
      tls::Stream(std::move(s), secured),
      Connection::Handlers{.on_call =
                               [this, peer](const std::string& type, nlohmann::json body, Connection::Reply reply) {
                                 if (type == control::type::kRegister) return on_register(peer, body, reply);
                                 reply(fail(Errc::unsupported, "the coordinator does not answer '{}'", type));
                               },
                           .on_notify =
                               [this, peer](const std::string& type, const nlohmann::json& body) {
                                 if (!peer->registered) return;
                                 if (type != control::type::kHeartbeat) return events_.on_event(peer->node, type, body);
                                 auto h = control::parse<control::Heartbeat>(body);
                                 if (!h)
                                   return log::warn("bad heartbeat",
                                                    {{"node", peer->node}, {"why", h.error().message}});
                                 view_.heartbeat(peer->node, std::move(*h), clock_.now());
                                 peer->conn->notify(control::type::kHeartbeat, nlohmann::json::object());
                               },
                           .on_raw =
                               [this, peer](std::span<const std::uint8_t> message) {
                                 if (!peer->registered || !events_.on_tokens) return false;
                                 if (!control::read_tokens_message(message, tokens_)) return false;
                                 events_.on_tokens(peer->node, tokens_);
                                 return true;
                               },
                           .on_close =
                               [this, peer](const Error& why) {
                                 if (!peer->registered)
                                   log::debug("connection to the control plane ended before it registered",
                                              {{"peer", peer->from}, {"why", why.message}});
                                 lost(peer, why);
                               }});
  peer->from = peer->conn->peer();
  all_.push_back(peer);
  peer->conn->start();
}

void NodeRegistry::on_register(const std::shared_ptr<Peer>& peer, const nlohmann::json& body,
                               const Connection::Reply& reply) {
  auto info = control::parse<control::RegisterRequest>(body);
  if (!info) return reply(std::unexpected(info.error()));
  const NodeId node = info->node;
  auto refuse = [&](Error e) {
    log::warn("node refused", {{"node", node}, {"code", name(e.code)}, {"why", e.message}});
    view_.refused(node, e.message, clock_.now());
    reply(std::unexpected(std::move(e)));
  };
  if (!names_are_text(*info))
    return refuse(Error{Errc::invalid_argument, "names of node, model and profiles must be UTF-8", "node"});
  if (peer->registered) return refuse(Error{Errc::already_exists, "this connection has registered before", {}});
  if (!options_.cluster_token.empty() && !same_secret(options_.cluster_token, info->cluster_token))
    return refuse(Error{Errc::permission_denied, "wrong cluster token", "cluster_token"});
  if (const auto& shown = peer->conn->certificate();
      options_.tls && !(shown && shown->has_role(control::name(info->role))))
    return refuse(Error{
        Errc::permission_denied,
        fmt::format("its certificate ({}) does not allow the role {}: it lacks {}{}", shown ? shown->subject : "none",
                    control::name(info->role), tls::kRoleUri, control::name(info->role)),
        "role"});
  if (info->protocol_max < control::kProtocolMin || info->protocol_min > control::kProtocolMax)
    return refuse(Error{Errc::unsupported,
                        fmt::format("node speaks control protocol {}-{}, coordinator {}-{}", info->protocol_min,
                                    info->protocol_max, control::kProtocolMin, control::kProtocolMax),
                        {}});
  retire(*info);
  const auto role = info->role;
  const int protocol = std::min(info->protocol_max, control::kProtocolMax);
  if (auto added = view_.add(std::move(*info), clock_.now()); !added) return refuse(std::move(added).error());
  peer->node = node;
  peer->registered = true;
  peers_[node] = peer;
  log::info("node registered", {{"node", node}, {"role", control::name(role)}, {"peer", peer->conn->peer()}});
  reply(control::to_json(
      control::RegisterReply{protocol, options_.heartbeat_ms, options_.lease_ms, true, options_.leg_space}));
  events_.on_up(node);
}

/// A node whose lease has run out, before anybody looked, makes room for a successor of its name; so does one whose
/// own process comes again over another connection, since it gave up the first. Its requests are placed again, and the
/// end of its connection is no longer the end of whoever bears that name.
void NodeRegistry::retire(const control::RegisterRequest& next) {
  const auto it = peers_.find(next.node);
  if (it == peers_.end()) return;
  const NodeRecord* known = view_.find(next.node);
  const bool same = known != nullptr && known->info.incarnation == next.incarnation;
  const auto expired = view_.expired(clock_.now());
  if (!same && std::ranges::find(expired, next.node) == expired.end()) return;
  const auto old = it->second;
  const Error why{Errc::unavailable,
                  same ? "it registered again over another connection"
                       : "lease ran out, and another node registered under its name",
                  {}};
  lost(old, why);
  old->conn->close(why);
}

void NodeRegistry::lost(const std::shared_ptr<Peer>& peer, const Error& why) {
  if (!peer->registered || stopped_) return;
  peer->registered = false;
  peers_.erase(peer->node);
  view_.remove(peer->node);
  log::warn("node lost", {{"node", peer->node}, {"why", why.message}});
  events_.on_lost(peer->node);
}

/// Who connects and does not register keeps no node out.
void NodeRegistry::drop_stranger() {
  for (const auto& weak : all_) {
    const auto p = weak.lock();
    if (!p || p->registered || !p->conn->open()) continue;
    return p->conn->close(Error{Errc::resource_exhausted, "had not registered when others came", {}});
  }
}

void NodeRegistry::check_leases() {
  timer_.expires_after(std::chrono::milliseconds(std::max(options_.lease_ms / 8, 10U)));
  timer_.async_wait([this](boost::system::error_code ec) {
    if (ec || stopped_) return;
    for (const NodeId& id : view_.expired(clock_.now()))
      if (const auto it = peers_.find(id); it != peers_.end())
        it->second->conn->close(Error{Errc::unavailable, "lease ran out: no heartbeat", {}});
    for (const auto& weak : all_)
      if (const auto p = weak.lock(); p && !p->registered && clock_.now() - p->since > kRegisterPatience)
        p->conn->close(Error{Errc::deadline_exceeded, "did not register in time", {}});
    check_leases();
  });
}

void NodeRegistry::call(const NodeId& node, const char* type, nlohmann::json body, std::chrono::milliseconds timeout,
                        Connection::Reply done) {
  const auto it = peers_.find(node);
  if (it == peers_.end()) return done(fail(Errc::unavailable, "node '{}' is not connected", node));
  it->second->conn->call(type, std::move(body), timeout, std::move(done));
}

void NodeRegistry::call(const NodeId& node, const char* type, const control::Encoded& body,
                        std::chrono::milliseconds timeout, Connection::Reply done) {
  const auto it = peers_.find(node);
  if (it == peers_.end()) return done(fail(Errc::unavailable, "node '{}' is not connected", node));
  it->second->conn->call(type, body, timeout, std::move(done));
}

}  // namespace sluice::coordinator
