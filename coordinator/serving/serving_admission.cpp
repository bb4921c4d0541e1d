// The part of Serving that the intake asks, and that does what it decides.
#include <algorithm>

#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

RequestFeatures Serving::features(RequestId id, TimePoint now) {
  const SessionPtr s = find(id);
  RequestFeatures f = s->features;
  f.waited_s = seconds(now - s->spec.received);
  // Tokens already sent bind it to the profile of those that computed them.
  if (!s->emitted.empty()) f.profile = s->profile;
  return f;
}

const ClusterSnapshot& Serving::cluster_for(RequestId id) {
  const SessionPtr s = find(id);
  // And to nodes with their bits.
  return s->emitted.empty() ? view_.snapshot() : view_.snapshot_like(s->prefill_bits, s->decode_bits, s->kl == 0);
}

Placed Serving::decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) {
  Placed placed = placement_.decide(c, r, deadline_s, now);
  if (auto* d = std::get_if<Decision>(&placed)) try_left_profile(*find(id), c, r, deadline_s, *d);
  return placed;
}

void Serving::go(RequestId id, const ClusterSnapshot& c, const Decision& d) {
  const SessionPtr s = find(id);
  s->features.waited_s = seconds(clock_.now() - s->spec.received);
  return s->colocated ? launch_colocated(s, c, d) : launch(s, c, d);
}

/// Without a place; those whom a forecast refuses hear of it before anything was computed for them.
void Serving::refuse(RequestId id, Refused why, const Refusal& r) {
  if (why == Refused::no_room_soon || why == Refused::too_slow)
    metrics_
        .counter("sluice_early_rejections_total",
                 "Requests refused for what decode nodes are expected to hold, before anything was computed.",
                 {{"why", why == Refused::too_slow ? "speed" : "room"}})
        .Increment();
  if (why != Refused::waited_in_vain) figures_.on_refused(name(r.error.code));
  fail_session(find(id), r.error, r.retry_after_s > 0 ? std::optional(r.retry_after_s) : std::nullopt);
}

/// What the nodes hold and will hold, as this coordinator's own account has it.
OccupantsOf Serving::occupants(TimePoint now) {
  std::vector<std::vector<Occupant>> out;
  for (const auto& [id, s] : sessions_) {
    const NodeRecord* n = s->placed() ? view_.find(s->decode) : nullptr;
    if (n == nullptr) continue;
    Occupant o{.blocks = static_cast<double>(s->blocks),
               .emitted = static_cast<double>(s->emitted.size()),
               .limit = static_cast<double>(s->features.max_new_tokens)};
    if (!s->first_token) o.starts_in_s = s->predicted_ttft_s - seconds(now - s->decided);
    o.tpot_s = s->tpot_s().value_or(s->predicted_tpot_s);
    out.resize(std::max(out.size(), n->index + 1));
    out[n->index].push_back(o);
  }
  return [all = std::move(out)](std::size_t node) {
    return node < all.size() ? std::span<const Occupant>(all[node]) : std::span<const Occupant>();
  };
}

}  // namespace sluice::coordinator
