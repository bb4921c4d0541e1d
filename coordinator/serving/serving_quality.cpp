// The part of Serving that listens to quality probes, and keeps what was learned.
#include "common/log.h"
#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

using nlohmann::json;
namespace ctl = control;

namespace {

/// Nats. The stated values of profiles lie between 1e-4 and 0.2.
const std::vector<double> kKlBuckets{1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, .01, .03, .1, .3, 1, 3, 10};

}  // namespace

/// A request that can go now may try a profile that was left, to see whether it keeps its quality again. Where that
/// cannot start in time, its own choice stands: nobody is refused, or kept waiting, for a trial.
void Serving::try_left_profile(const Session& s, const ClusterSnapshot& c, RequestFeatures f, double deadline_s,
                               Decision& d) {
  const TimePoint now = clock_.now();
  const auto trial = f.profile || s.resumes > 0 ? std::nullopt : quality_.trial(f.quality_budget, now);
  if (!trial) return;
  f.profile = trial;
  const Placed placed = placement_.decide(c, f, deadline_s, now);
  const auto* other = std::get_if<Decision>(&placed);
  if (other == nullptr) return;
  d = *other;
  d.trial = true;
}

/// Follows the profiles of the nodes that are here; what was learned of other ones, or of another model, is dropped.
void Serving::bind_quality() {
  const ctl::ModelIdentity* m = view_.model();
  if (m == nullptr) return;
  quality_.bind(fmt::format("{}/{:016x}", m->hash, m->codec_hash), view_.profiles());
  show_quality();
}

/// Placement and metrics see what the watch thinks.
void Serving::show_quality() {
  for (const QualityWatch::Profile& p : quality_.profiles()) {
    view_.set_kl(p.name, quality_.effective(p));
    metrics_
        .gauge("sluice_quality_drift", "1 while probes say that a profile exceeds its stated KL.",
               {{"profile", p.name}})
        .Set(p.left ? 1 : 0);
  }
}

void Serving::on_probe_result(const NodeId& node, const json& body) {
  const auto m = ctl::parse<ctl::ProbeResult>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  if (quality_.find(m->profile) == nullptr) return;
  metrics_
      .histogram("sluice_quality_probe_kl", "KL of exact to received KV, first token of probed requests, nats.",
                 kKlBuckets, {{"profile", m->profile}})
      .Observe(m->kl);
  metrics_
      .counter("sluice_quality_probe_top1_total", "Probed requests by whether both KVs have one most likely token.",
               {{"profile", m->profile}, {"same", m->top1 ? "true" : "false"}})
      .Increment();
  const auto change = quality_.observe(m->profile, m->kl, m->top1, clock_.now());
  show_quality();
  if (!change) return;
  const char* event = change->left ? "quality_left" : "quality_kept_again";
  log::warn(change->left ? "KV profile exceeds its stated KL" : "KV profile is within its stated KL again",
            {{"profile", change->profile},
             {"stated_kl", change->stated},
             {"effective_kl", change->effective},
             {"probed_kl", change->mean},
             {"probes", change->probes}});
  log_.record_change({{"event", event},
                      {"profile", change->profile},
                      {"stated_kl", change->stated},
                      {"effective_kl", change->effective},
                      {"probed_kl", change->mean}},
                     unix_now());
  if (on_change_) on_change_();
}

json Serving::save_state() const {
  return {{"policy", placement_.save()},
          {"outputs", intake_.lengths().save()},
          {"slo", slos_.to_json()},
          {"quality", quality_.save()}};
}

void Serving::load_state(const json& state) {
  if (state.contains("slo"))
    if (auto r = slos_.restore(state["slo"]); !r) log::warn("SLO classes not used", {{"why", r.error().message}});
  if (state.contains("quality")) quality_.load(state["quality"], clock_.now());
  if (state.contains("outputs"))
    if (auto r = intake_.lengths().load(state["outputs"]); !r)
      log::warn("output lengths not used", {{"why", r.error().message}});
  if (!state.contains("policy")) return;
  if (auto r = placement_.load(state["policy"], clock_.now()); !r)
    log::warn("learned state not used", {{"why", r.error().message}});
}

}  // namespace sluice::coordinator
