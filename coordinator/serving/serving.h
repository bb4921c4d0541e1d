#pragma once
// The serving backend: makes the owners of its jobs and joins them. It does none of them; docs/walls.md has the map.
//
// Threading: the coordinator's one io_context thread; no locks. Failure: every leg ends in exactly one terminal event.
// Lifetime: stop() before the io_context ends; calls to nodes under way keep `this` until they are answered or cut.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "coordinator/api/backend.h"
#include "coordinator/cluster/node_registry.h"
#include "coordinator/serving/departed_nodes.h"
#include "coordinator/serving/lasting_state.h"
#include "coordinator/serving/legs.h"
#include "coordinator/serving/role_desk.h"
#include "coordinator/serving/slo_desk.h"

namespace sluice::coordinator {

struct ServingOptions {
  Slo slo;
  double max_wait_s = 30;  // the latest TTFT worth admitting when a request states none of its own
  std::size_t max_waiting = 1024;
  double max_tpot_s = 0;  // the slowest TPOT worth admitting when a request states none of its own; 0: any
  double request_timeout_s = 600;
  bool auto_roles = false;      // nodes change their role when the balance of the roles is wrong
  bool profile_changes = true;  // a sender may go on under a tighter profile when its link gives way
  bool local_prefill = true;    // decode nodes may compute prompts, where that is better
  double link_probe_s = 60;     // a link that nothing went over for so long is measured anew; 0: never
  ControllerOptions controller;
  QualityWatchOptions quality;
  MoverOptions mover;
  RegistryOptions registry;
  std::function<bool()> leads = [] { return true; };  // duties that one coordinator has are ours
};

class Serving final : public Backend, public StatusBackend {
 public:
  Serving(boost::asio::io_context& io, const Clock& clock, const ServingOptions& o, ModelInfo model,
          std::unique_ptr<ModelText> text, Metrics& metrics);

  [[nodiscard]] const ModelInfo& model() const override { return model_; }
  [[nodiscard]] const ModelText& text() const override { return *text_; }
  [[nodiscard]] std::size_t largest_context() override { return coordinator::largest_context(view_.snapshot()); }
  RequestId start(LegSpec spec, std::shared_ptr<LegSink> sink) override {
    roles_.arrived(spec.prompt->size());
    return legs_.start(std::move(spec), std::move(sink));
  }
  void cancel(RequestId id, CancelReason reason) override { legs_.cancel(id, reason); }
  [[nodiscard]] Health health() const override;
  [[nodiscard]] std::string metrics_text() const override;
  [[nodiscard]] std::string openmetrics_text() const override;

  // For the operator's surface and the process around it.
  [[nodiscard]] const ClusterView& view() const noexcept { return view_; }
  [[nodiscard]] const QualityWatch& quality() const noexcept { return quality_.watch(); }
  [[nodiscard]] const DecisionLog& decisions() const noexcept { return log_; }
  [[nodiscard]] SloDesk& slos() noexcept { return slos_; }
  [[nodiscard]] const SloDesk& slos() const noexcept { return slos_; }
  [[nodiscard]] RoleDesk& roles() noexcept { return roles_; }
  [[nodiscard]] const RoleDesk& roles() const noexcept { return roles_; }
  [[nodiscard]] LastingState& state() noexcept { return state_; }
  [[nodiscard]] std::size_t waiting() const { return legs_.counts().waiting; }
  [[nodiscard]] std::size_t active() const noexcept { return legs_.active(); }
  [[nodiscard]] std::string control_address() const { return registry_.address(); }
  /// Stops placing on a node and tells it to finish what it has; what it decodes moves to others. invalid_argument: it
  /// is the last of its role that takes requests, and nobody said `force`.
  [[nodiscard]] Result<> drain_node(const NodeId& node, bool force);
  /// Moves a running request to another decode node; see MoveDesk.
  void migrate(const std::string& request, const NodeId& node, MoveDesk::Done done) {
    legs_.desk().migrate(request, node, std::move(done));
  }
  /// New legs are refused; running ones go on.
  void begin_drain() { legs_.begin_drain(); }
  void stop();

 private:
  [[nodiscard]] NodeRegistry::Events events();
  void on_node_up(const NodeId& node);
  void on_event(const NodeId& node, const std::string& type, const nlohmann::json& body);
  void sweep();

  const bool local_prefill_;
  ModelInfo model_;
  std::unique_ptr<ModelText> text_;
  Metrics& metrics_;
  const Clock& clock_;
  ServingMetrics figures_;
  MoveMetrics move_figures_;
  DepartedNodes departed_;
  DecisionLog log_{1000};
  ClusterView view_;
  Placement placement_;
  PrefixSight prefixes_{prefix::PrefixKey::draw()};
  NodeCalls calls_;
  LinkWatch links_;
  QualityDesk quality_;
  SloDesk slos_;
  RoleDesk roles_;
  Legs legs_;
  LastingState state_;
  boost::asio::steady_timer sweep_timer_;
  NodeRegistry registry_;  // last: nothing comes from nodes before the others are there, or after they are gone
};

}  // namespace sluice::coordinator
