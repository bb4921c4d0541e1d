#pragma once
// A node's link to its coordinator: connects, registers, sends heartbeats, answers calls, and comes back after a loss.
//
// States: down -> connecting -> registering -> up -> (lost) down ... -> stopped. A refusal that cannot heal by waiting
// (another model's hash, protocol mismatch, wrong cluster token) ends in `refused` and is reported once.
// Both ends decide by heartbeats: the coordinator answers each with one, and a node that hears nothing for a lease
// gives the connection up. Waiting for TCP would take as long again as a partition lasted. While the coordinator cannot
// be reached, that is said at once and every half minute. With TLS both show certificates, and the other end must be a
// coordinator by its own: its name matters less than its role. Threading: lives on one io_context thread, handlers too;
// notify() is called there as well.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/control/messages.h"
#include "common/control/rpc.h"
#include "common/tls/source.h"

namespace sluice::node {

class NodeLink {
 public:
  struct Handlers {
    std::function<void(const std::string& type, nlohmann::json body, control::Connection::Reply reply)> on_call;
    std::function<control::Heartbeat()> heartbeat;
    /// The coordinator went away: its requests have no reader any more and may be dropped.
    std::function<void()> on_lost;
    std::function<void(const Error&)> on_refused;
  };
  /// `tls`: null: plain.
  NodeLink(boost::asio::io_context& io, std::string coordinator, control::RegisterRequest me, Handlers handlers,
           std::shared_ptr<tls::Source> tls = nullptr);
  /// Replaces what registration says; before start().
  void introduce(control::RegisterRequest me) { me_ = std::move(me); }
  void start();
  /// Ends the link; no handler is called afterwards.
  void stop();
  void notify(const char* type, nlohmann::json body);
  /// A heartbeat out of turn: what it says cannot wait.
  void beat_now();
  [[nodiscard]] bool up() const noexcept { return up_; }
  /// Of the coordinator that it was up with last.
  [[nodiscard]] control::LegSpace leg_space() const noexcept { return leg_space_; }
  [[nodiscard]] const std::string& coordinator() const noexcept { return coordinator_; }

 private:
  void connect();
  void talk(boost::asio::ip::tcp::socket socket);
  void registered(Result<nlohmann::json> reply);
  void retry(const Error& why);
  void beat();

  boost::asio::io_context& io_;
  std::string coordinator_;
  control::RegisterRequest me_;
  Handlers handlers_;
  std::shared_ptr<tls::Source> tls_;
  boost::asio::steady_timer timer_, attempt_;
  boost::asio::ip::tcp::resolver resolver_;
  std::shared_ptr<control::Connection> conn_;
  std::chrono::milliseconds backoff_{100};
  std::chrono::milliseconds heartbeat_{250};
  std::optional<std::chrono::milliseconds> silence_;  // that ends the connection; nothing: an older coordinator
  std::chrono::steady_clock::time_point heard_{};
  std::optional<std::chrono::steady_clock::time_point> said_;  // that the coordinator cannot be joined
  std::string said_why_;
  control::LegSpace leg_space_;
  bool up_ = false, stopped_ = false;
};

}  // namespace sluice::node
