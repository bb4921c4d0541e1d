#pragma once
// The coordinator's side of the control plane: accepts node connections, keeps ClusterView's leases, routes calls and
// events. A node proves itself by the cluster token, by a certificate that says its role, or by both, as is demanded.
// Who connects has ten seconds to register; when places are short the oldest who has not makes room.
// Threading: one io_context thread. Failure: a node whose connection closes or whose lease ends is removed at
// once and reported through on_lost, exactly once per registration.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/control/rpc.h"
#include "common/net/listener.h"
#include "common/tls/source.h"
#include "common/tls/stream.h"
#include "coordinator/cluster/cluster_view.h"

namespace sluice::coordinator {

struct RegistryOptions {
  std::string listen = "127.0.0.1:0";
  std::string cluster_token;                                    // empty: none is demanded
  std::shared_ptr<tls::Source> tls = {};                        // null: plain
  std::optional<boost::asio::any_io_executor> handshakes = {};  // where their costly part runs; nothing: here
  std::uint32_t heartbeat_ms = 250;
  std::uint32_t lease_ms = 2000;
  control::LegSpace leg_space;  // that nodes are told
};

class NodeRegistry {
 public:
  struct Events {
    std::function<void(const NodeId&)> on_up;
    std::function<void(const NodeId&)> on_lost;
    std::function<void(const NodeId&, const std::string& type, const nlohmann::json& body)> on_event;
    /// The hottest event, read without JSON where it can be. Null: it comes as any other.
    std::function<void(const NodeId&, const control::Tokens&)> on_tokens;
  };
  NodeRegistry(boost::asio::io_context& io, const Clock& clock, const RegistryOptions& o, ClusterView& view,
               Events events);
  ~NodeRegistry();
  [[nodiscard]] std::string address() const { return listener_.address(); }
  void stop();
  /// A call to a node; `unavailable` if it is not connected.
  void call(const NodeId& node, const char* type, nlohmann::json body, std::chrono::milliseconds timeout,
            control::Connection::Reply done);
  void call(const NodeId& node, const char* type, const control::Encoded& body, std::chrono::milliseconds timeout,
            control::Connection::Reply done);

 private:
  struct Peer;  // one accepted connection, registered or not
  void accept(boost::asio::ip::tcp::socket s);
  void on_register(const std::shared_ptr<Peer>& peer, const nlohmann::json& body,
                   const control::Connection::Reply& reply);
  void retire(const control::RegisterRequest& next);
  void lost(const std::shared_ptr<Peer>& peer, const Error& why);
  void check_leases();
  void drop_stranger();

  const Clock& clock_;
  RegistryOptions options_;
  ClusterView& view_;
  Events events_;
  boost::asio::steady_timer timer_;
  std::unordered_map<NodeId, std::shared_ptr<Peer>> peers_;
  std::vector<std::weak_ptr<Peer>> all_;  // the oldest first
  control::Tokens tokens_;                // the last message, so that the next one needs no memory
  bool stopped_ = false;
  net::Listener listener_;
};

}  // namespace sluice::coordinator
