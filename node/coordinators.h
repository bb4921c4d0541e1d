#pragma once
// The coordinators a node serves: one NodeLink to each that a list names, of a registry or of --coordinator.
//
// Each coordinator gives this node legs, and hears of its own only: a leg's id says whose it is
// (common/control/leg_space.h). A coordinator that is lost costs its own legs and no others. One that is no longer
// listed is let go of when its link is down, not before: a registry that was out of reach for a while forgets
// everybody, and whoever is connected goes on.
// Threading: one io_context thread. Failure: when every listed coordinator refuses this node for good, on_refused.
#include <map>
#include <set>

#include "node/node_link.h"

namespace sluice::node {

class Coordinators {
 public:
  struct Handlers {
    std::function<void(const std::string& type, nlohmann::json body, control::Connection::Reply reply)> on_call;
    /// As told to the coordinator whose legs are of `to`.
    std::function<control::Heartbeat(control::LegSpace to)> heartbeat;
    /// A coordinator went away: nobody reads its legs any more.
    std::function<void(control::LegSpace of)> on_lost;
    std::function<void(const Error&)> on_refused;
  };
  /// `me` is what each link registers with.
  Coordinators(boost::asio::io_context& io, control::RegisterRequest me, Handlers handlers,
               std::shared_ptr<tls::Source> tls = nullptr)
      : io_(io), me_(std::move(me)), handlers_(std::move(handlers)), tls_(std::move(tls)) {}

  /// The control addresses that there are now; host:port.
  void list(const std::set<std::string>& addresses);
  /// Lets go of those that are neither listed nor connected; call now and then.
  void sweep();
  /// Ends all links; no handler is called afterwards.
  void stop();
  /// To the coordinator of this leg. Lost with its link, as whoever would read it.
  void notify(RequestId leg, const char* type, nlohmann::json body);
  /// What heartbeats say has changed and cannot wait.
  void beat_now();
  /// Some coordinator gives this node work.
  [[nodiscard]] bool up() const;
  [[nodiscard]] std::size_t links_up() const;
  [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }

 private:
  struct Served {
    std::unique_ptr<NodeLink> link;
    bool listed = true;
    std::optional<Error> refused;  // for good
  };
  struct Retired {
    std::unique_ptr<NodeLink> link;
    std::chrono::steady_clock::time_point since;
  };
  void open(const std::string& address);
  void refused(const std::string& address, const Error& why);

  boost::asio::io_context& io_;
  const control::RegisterRequest me_;
  Handlers handlers_;
  std::shared_ptr<tls::Source> tls_;     // null: plain
  std::map<std::string, Served> links_;  // by address
  std::vector<Retired> retired_;         // stopped; what they began (a look-up of a name) may still come back to them
  bool stopped_ = false;
};

}  // namespace sluice::node
