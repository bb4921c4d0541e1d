#pragma once
// The shell every node daemon lives in: who the process is, its control thread, the links to coordinators, the pages
// /metrics, /health, /livez, /readyz, /version and /host, signals, and the drain. What a node does with calls is its
// own.
//
// Life: construct -> build the node's parts (they may keep references to clock() and metrics() and call notify()) ->
// run() until the process should end -> stop the parts. A drain (asked by the coordinator or by the first SIGTERM,
// SIGINT or SIGHUP) refuses new work through draining() and ends when open_work() is 0 or drain_timeout_s has passed; a
// second signal ends at once. A node that is to change its role (`role`, RoleRequest) drains likewise and then ends
// with changes_role(): its owner goes on as the other program. A signal meanwhile makes an ordinary drain of that.
// Threading: run() is the control thread and calls every handler. notify() and post() may come from any thread; the
// rest belongs to the control thread. Failure: the constructor throws UsageError for an admin address that others could
// not use, a port range, a registry or a receiver of spans that is none, run() std::runtime_error when it cannot be
// bound.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/http/admin_server.h"
#include "common/metrics.h"
#include "common/net/ticker.h"
#include "common/stall_watch.h"
#include "common/tls/source.h"
#include "common/trace/tracing.h"
#include "node/coordinator_list.h"
#include "node/coordinators.h"
#include "node/node_health.h"
#include "node/node_options.h"

namespace sluice::node {

class NodeApp {
 public:
  /// What is seen of the engine: it stands still while there is work and `turns` does not move.
  struct Engine {
    std::uint64_t turns = 0;
    bool work = false;
  };
  struct Handlers {
    /// Every call but `drain` and `role`.
    std::function<void(const std::string& type, const nlohmann::json& body, const control::Connection::Reply& reply)>
        on_call;
    /// As told to the coordinator whose legs are of `to`; `draining` is filled in here.
    std::function<control::Heartbeat(control::LegSpace to)> heartbeat;
    std::function<void(control::LegSpace of)> on_lost;         // a coordinator went away: nobody reads its legs
    std::function<void()> set_gauges;                          // before a scrape
    std::function<nlohmann::json()> host;                      // the page /host
    std::function<std::size_t()> open_work;                    // what a drain waits for
    std::function<Engine()> engine = [] { return Engine{}; };  // every 200 ms
    std::function<void()> housekeeping = [] {};                // every 200 ms
    std::function<void()> release_unused = [] {};              // every 5 s: gives back memory that a burst left
  };

  NodeApp(const NodeOptions& o, control::Role role);
  NodeApp(const NodeApp&) = delete;

  /// Registers as `me` (role, node, incarnation, cluster token and admin address are filled in) and serves until the
  /// drain is over or the coordinator refuses this node. Returns the process's exit code. Call once.
  [[nodiscard]] int run(control::RegisterRequest me, Handlers handlers);

  /// Tells the coordinator whose leg it is.
  void notify(RequestId leg, const char* type, nlohmann::json body);
  void post(std::function<void()> f);

  /// Once run() has returned: for this it did.
  [[nodiscard]] bool changes_role() const noexcept { return ended_ && exit_code_ == 0 && becomes_.has_value(); }
  [[nodiscard]] bool draining() const noexcept { return drain_until_.has_value(); }
  [[nodiscard]] const NodeId& name() const noexcept { return name_; }
  [[nodiscard]] Incarnation incarnation() const noexcept { return incarnation_; }
  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
  [[nodiscard]] Metrics& metrics() noexcept { return metrics_; }
  /// Where spans go; null: nothing is traced.
  [[nodiscard]] trace::SpanSink* spans() const noexcept { return tracing_.sink(); }

 private:
  void export_engine();
  void open_pages();
  void open_links(const control::RegisterRequest& me);
  void wait_signal();
  void on_call(const std::string& type, const nlohmann::json& body, const control::Connection::Reply& reply);
  [[nodiscard]] NodeFacts facts() const;
  void watch_engine();
  void tick();
  void begin_drain(const char* why);
  /// Tells the coordinator, and the service manager, what is about to happen.
  void announce_drain(const char* why);
  [[nodiscard]] Result<> change_role(control::Role to);
  void stop(int code);

  NodeOptions o_;
  control::Role role_;
  SteadyClock clock_;
  Metrics metrics_;
  NodeId name_;
  Incarnation incarnation_;
  trace::Tracing tracing_;
  Handlers handlers_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_{io_};
  boost::asio::signal_set signals_{io_};
  std::optional<TimePoint> drain_until_;
  std::optional<control::Role> becomes_;  // once drained
  bool ended_ = false;
  StallWatch engine_;
  bool stalled_ = false;
  unsigned ticks_ = 0;
  int exit_code_ = 0;
  std::unique_ptr<http::AdminServer> pages_;
  std::shared_ptr<tls::Source> cluster_tls_;  // null: plain
  std::shared_ptr<tls::Source> pages_tls_;    // of the pages; null: plain
  std::optional<net::Ticker> renewal_;
  CoordinatorList list_;
  std::unique_ptr<Coordinators> coordinators_;
};

}  // namespace sluice::node
