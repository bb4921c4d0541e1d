#include "coordinator/serving/serving.h"

#include <chrono>

#include "common/log.h"
#include "coordinator/serving/health.h"

namespace sluice::coordinator {
namespace {

constexpr std::chrono::milliseconds kSweep{100};

IntakeOptions intake_options(const ServingOptions& o) {
  return {.max_wait_s = o.max_wait_s,
          .max_tpot_s = o.max_tpot_s,
          .lifetime_s = o.request_timeout_s,
          .max_waiting = o.max_waiting};
}

}  // namespace

Serving::Serving(boost::asio::io_context& io, const Clock& clock, const ServingOptions& o, ModelInfo model,
                 std::unique_ptr<ModelText> text, Metrics& metrics)
    : local_prefill_(o.local_prefill),
      model_(std::move(model)),
      text_(std::move(text)),
      metrics_(metrics),
      clock_(clock),
      figures_(metrics, model_.id, model_.max_model_len),
      move_figures_(metrics),
      view_(std::chrono::milliseconds(o.registry.lease_ms)),
      placement_(o.controller),
      calls_(registry_, view_, o.request_timeout_s, prefixes_),
      links_({view_, calls_, metrics, clock, o.leads}, o.link_probe_s),
      quality_({view_, placement_, log_, metrics, clock, [this] { state_.changed(); }}, o.quality),
      slos_({view_, placement_, log_, clock, [this] { state_.changed(); }}, o.slo),
      roles_({view_, placement_, slos_.book(), calls_, log_, clock, o.leads}, metrics, o.auto_roles),
      legs_({io, clock, view_, placement_, slos_.book(), links_, quality_, calls_, prefixes_, log_, figures_, roles_,
             move_figures_},
            {.intake = intake_options(o),
             .mover = o.mover,
             .profile_changes = o.profile_changes,
             .local_prefill = o.local_prefill,
             .ids = o.registry.leg_space}),
      state_({placement_, legs_.lengths(), slos_.book(), quality_.watch(), [this] { quality_.show(); }}, clock),
      sweep_timer_(io),
      registry_(io, clock, o.registry, view_, events()) {
  sweep();
}

NodeRegistry::Events Serving::events() {
  return {.on_up = [this](const NodeId& n) { on_node_up(n); },
          .on_lost =
              [this](const NodeId& n) {
                departed_.lost(n, clock_.now());
                links_.on_node_lost(n);
                legs_.on_node_lost(n);
              },
          .on_event = [this](const NodeId& n, const std::string& t, const nlohmann::json& b) { on_event(n, t, b); },
          .on_tokens = [this](const NodeId& n, const control::Tokens& t) { legs_.on_tokens(n, t); }};
}

void Serving::stop() {
  sweep_timer_.cancel();
  registry_.stop();
}

void Serving::on_node_up(const NodeId& node) {
  const NodeRecord* n = view_.find(node);
  if (n == nullptr) return;
  departed_.back(node);
  if (const NodeRecord* other = view_.unlike(*n))
    log::warn(
        "nodes compute with other bits: neither continues the other's answers after a failure",
        {{"node", node}, {"other", other->info.node}, {"differ", difference(bits_of(n->info), bits_of(other->info))}});
  quality_.on_node_up();
  roles_.on_node_up(node);
  links_.on_node_up(node);
  legs_.on_node_up();
}

void Serving::on_event(const NodeId& node, const std::string& type, const nlohmann::json& body) {
  if (legs_.on_event(node, type, body)) return;
  if (type == control::type::kProbeResult) return quality_.on_probe_result(node, body);
  log::debug("unknown event", {{"node", node}, {"type", type}});
}

void Serving::sweep() {
  legs_.sweep();
  links_.measure_idle();
  roles_.sweep();
  for (const NodeId& node : departed_.take_due(clock_.now()))
    for (const char* label : {"prefill_node", "decode_node"}) metrics_.forget(label, node.value());
  sweep_timer_.expires_after(kSweep);
  sweep_timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) sweep();
  });
}

Result<> Serving::drain_node(const NodeId& node, bool force) {
  const NodeRecord* me = view_.find(node);
  if (me != nullptr && !force && last_of_role(view_, *me))
    return fail_param("force", "'{}' is the last {} node: without it every request is refused; say force to drain it",
                      node, control::name(me->info.role));
  if (!view_.set_draining(node, true)) return fail(Errc::not_found, "node '{}' is not registered", node);
  calls_.drain(node);
  legs_.on_drain();
  return {};
}

Health Serving::health() const { return health_of(view_, {waiting(), active(), legs_.draining(), local_prefill_}); }

std::string Serving::metrics_text() const {
  figures_.refresh(view_, legs_.counts(), slos_.book());
  return metrics_.text();
}

std::string Serving::openmetrics_text() const {
  figures_.refresh(view_, legs_.counts(), slos_.book());
  return metrics_.openmetrics();
}

}  // namespace sluice::coordinator
