#pragma once
// The serving backend: takes legs from the API, places them, drives prefill and decode nodes, and gives tokens back.
//
// Threading: the coordinator's one io_context thread; no locks. Failure: every leg ends in exactly one terminal event;
// a node's loss places its legs again (token-exact: prompt prefilled with the same profile, sent tokens replayed), at
// most kMaxResumes times. Nothing here blocks.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "coordinator/api/backend.h"
#include "coordinator/cluster/link_probes.h"
#include "coordinator/cluster/node_registry.h"
#include "coordinator/policy/intake.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/quality_watch.h"
#include "coordinator/serving/decision_log.h"
#include "coordinator/serving/serving_metrics.h"
#include "coordinator/serving/session.h"
#include "coordinator/serving/slo_book.h"

namespace sluice::coordinator {

inline constexpr int kMaxResumes = 3;

struct ServingOptions {
  Slo slo;
  double max_wait_s = 30;  // the latest TTFT worth admitting when a request states none of its own
  std::size_t max_waiting = 1024;
  double max_tpot_s = 0;  // the slowest TPOT worth admitting when a request states none of its own; 0: any
  double request_timeout_s = 600;
  bool profile_changes = true;  // a sender may go on under a tighter profile when its link gives way
  double link_probe_s = 60;     // a link that nothing went over for so long is measured anew; 0: never
  ControllerOptions controller;
  QualityWatchOptions quality;
  RegistryOptions registry;
};

class Serving final : public Backend, IntakeHost {
 public:
  Serving(boost::asio::io_context& io, const Clock& clock, const ServingOptions& o, ModelInfo model,
          std::unique_ptr<ModelText> text, Metrics& metrics);

  [[nodiscard]] const ModelInfo& model() const override { return model_; }
  [[nodiscard]] const ModelText& text() const override { return *text_; }
  RequestId start(LegSpec spec, std::shared_ptr<LegSink> sink) override;
  void cancel(RequestId id, CancelReason reason) override;
  [[nodiscard]] Health health() const override;
  [[nodiscard]] std::string metrics_text() const override;

  // For the admin API.
  [[nodiscard]] const SloBook& slos() const noexcept { return slos_; }
  /// Changes or makes an SLO class; live for requests that come from now on. `who` is for the record.
  [[nodiscard]] Result<Slo> change_slo(const std::string& name, const nlohmann::json& settings, const std::string& who);
  [[nodiscard]] Result<> remove_slo(const std::string& name, const std::string& who);
  [[nodiscard]] Result<nlohmann::json> explain_slo(const std::string& name);
  /// Called after every change that should be on disk at once.
  void on_change(std::function<void()> f) { on_change_ = std::move(f); }
  [[nodiscard]] const ClusterView& view() const noexcept { return view_; }
  [[nodiscard]] const QualityWatch& quality() const noexcept { return quality_; }
  [[nodiscard]] const DecisionLog& decisions() const noexcept { return log_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return intake_.waiting(); }
  [[nodiscard]] std::size_t active() const noexcept { return sessions_.size(); }
  /// What should outlive this process, and what an earlier one left. A part that cannot be used is logged and left out.
  [[nodiscard]] nlohmann::json save_state() const;
  void load_state(const nlohmann::json& state);
  /// Stops placing on a node and tells it to finish what it has.
  [[nodiscard]] Result<> drain_node(const NodeId& node);
  [[nodiscard]] std::string control_address() const { return registry_.address(); }
  /// New legs are refused; running ones go on.
  void begin_drain() { draining_ = true; }
  void stop();

 private:
  using SessionPtr = std::shared_ptr<Session>;

  [[nodiscard]] SessionPtr find(RequestId id) const;
  // What the intake asks, and what it decides.
  RequestFeatures features(RequestId id, TimePoint now) override;
  const ClusterSnapshot& cluster() override { return view_.snapshot(); }
  const ClusterSnapshot& cluster_for(RequestId id) override;
  OccupantsOf occupants(TimePoint now) override;
  Placed decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override;
  void go(RequestId id, const ClusterSnapshot& c, const Decision& d) override;
  void refuse(RequestId id, Refused why, const Refusal& r) override;

  void place(const SessionPtr& s);
  void pump() { intake_.pump(clock_.now()); }
  void launch(const SessionPtr& s, const ClusterSnapshot& c, const Decision& d);
  void launch_colocated(const SessionPtr& s, const ClusterSnapshot& c, const Decision& d);
  void remember_bits(Session& s) const;
  void reserve(const SessionPtr& s);
  void reserved(const SessionPtr& s, std::uint32_t placement, Result<nlohmann::json> reply);
  void prefill(const SessionPtr& s, control::ReserveReply reply);
  void again(const SessionPtr& s, const Error& why);
  void undo(const SessionPtr& s);
  void drop_prefill(const SessionPtr& s);
  void tell_cancel(const NodeId& node, RequestId id);

  void on_node_up(const NodeId& node);
  void on_node_lost(const NodeId& node);
  void on_event(const NodeId& node, const std::string& type, const nlohmann::json& body);
  void on_tokens(const NodeId& node, const nlohmann::json& body);
  void on_token(const SessionPtr& s, const control::Tokens::Item& item);
  void on_prefill_done(const NodeId& node, const nlohmann::json& body);
  void on_kv_ready(const NodeId& node, const nlohmann::json& body);
  void on_finished(const NodeId& node, const nlohmann::json& body);

  void offer_fallbacks(Session& s, const ClusterSnapshot& c);
  void raise_kl(Session& s) const;
  void on_probe_result(const NodeId& node, const nlohmann::json& body);

  void try_left_profile(const Session& s, const ClusterSnapshot& c, RequestFeatures f, double deadline_s, Decision& d);
  void bind_quality();
  void show_quality();
  void learn(const Session& s);
  void complete(const SessionPtr& s);
  void finish(const SessionPtr& s, LegEnd end, std::string_view outcome);
  void fail_session(const SessionPtr& s, Error e, std::optional<double> retry_after_s);
  void end(const SessionPtr& s, std::string_view outcome);
  void sweep();
  void note_slo(const std::string& name, nlohmann::json now, const std::string& who);
  void probe_path(const LinkProbes::Link& l, const std::string& address, std::uint32_t block_bytes);
  void probe_paths(const NodeId& node);
  void measure_idle_links();

  boost::asio::io_context& io_;
  const Clock& clock_;
  ServingOptions options_;
  ModelInfo model_;
  std::unique_ptr<ModelText> text_;
  Metrics& metrics_;
  mutable ServingMetrics figures_;
  ClusterView view_;
  Placement placement_;
  Intake intake_;
  LinkProbes link_probes_;
  QualityWatch quality_;
  SloBook slos_;
  std::function<void()> on_change_;
  DecisionLog log_{1000};
  std::unordered_map<RequestId, SessionPtr> sessions_;
  std::uint64_t next_id_ = 1;
  bool draining_ = false;
  boost::asio::steady_timer sweep_timer_;
  NodeRegistry registry_;
};

}  // namespace sluice::coordinator
