#include "coordinator/serving/quality_desk.h"

#include "common/log.h"

namespace sluice::coordinator {
namespace {

/// Nats. The stated values of profiles lie between 1e-4 and 0.2.
const Buckets kKlBuckets{1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, .01, .03, .1, .3, 1, 3, 10};

}  // namespace

QualityDesk::QualityDesk(Uses u, const QualityWatchOptions& o)
    : use_(std::move(u)),
      watch_(o),
      drift_(use_.metrics.gauges("sluice_quality_drift", "1 while probes say that a profile exceeds its stated KL.")),
      stated_(use_.metrics.gauges("sluice_quality_stated_kl", "KL that a profile states, nats; 0: lossless.")),
      kl_(use_.metrics.histograms("sluice_quality_probe_kl",
                                  "KL of exact to received KV, first token of probed requests, nats.", kKlBuckets)),
      top1_(use_.metrics.counters("sluice_quality_probe_top1_total",
                                  "Probed requests by whether both KVs have one most likely token.")) {}

void QualityDesk::try_left_profile(const ClusterSnapshot& c, RequestFeatures f, double deadline_s, Decision& d,
                                   TimePoint now) {
  if (f.profile || !f.may_explore) return;
  if (f.cut && *f.cut != f.split_cut()) return;  // only KV of the whole prompt is probed
  f.profile = watch_.trial(f.quality_budget, now);
  if (!f.profile) return;
  const Placed placed = use_.placement.decide(c, f, deadline_s, now);
  const auto* other = std::get_if<Decision>(&placed);
  if (other == nullptr) return;
  d = *other;
  d.trial = true;
}

void QualityDesk::on_node_up() {
  const control::ModelIdentity* m = use_.view.model();
  if (m == nullptr) return;
  watch_.bind(fmt::format("{}/{:016x}", m->hash, m->codec_hash), use_.view.profiles());
  show();
}

void QualityDesk::show() {
  for (const QualityWatch::Profile& p : watch_.profiles()) {
    use_.view.set_kl(p.name, watch_.effective(p));
    drift_.with({{"profile", p.name}}).set(p.left ? 1 : 0);
    stated_.with({{"profile", p.name}}).set(p.stated);
  }
}

void QualityDesk::on_probe_result(const NodeId& node, const nlohmann::json& body) {
  const auto m = control::parse<control::ProbeResult>(body);
  if (!m) return log::warn("bad message", {{"node", node}, {"why", m.error().message}});
  if (watch_.find(m->profile) == nullptr) return;
  kl_.with({{"profile", m->profile}}).observe(m->kl);
  top1_.with({{"profile", m->profile}, {"same", m->top1 ? "true" : "false"}}).add();
  const auto change = watch_.observe(m->profile, m->kl, m->top1, use_.clock.now());
  show();
  if (!change) return;
  log::warn(change->left ? "KV profile exceeds its stated KL" : "KV profile is within its stated KL again",
            {{"profile", change->profile},
             {"stated_kl", change->stated},
             {"effective_kl", change->effective},
             {"probed_kl", change->mean},
             {"probes", change->probes}});
  use_.log.record_change({{"event", change->left ? "quality_left" : "quality_kept_again"},
                          {"profile", change->profile},
                          {"stated_kl", change->stated},
                          {"effective_kl", change->effective},
                          {"probed_kl", change->mean}},
                         unix_now());
  use_.changed();
}

}  // namespace sluice::coordinator
