// The part of Serving that decides who may wait, from what decode nodes are expected to hold.
#include <algorithm>
#include <cmath>

#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

/// What the nodes hold and will hold, as this coordinator's own account has it.
OccupantsOf Serving::occupants() const {
  const TimePoint now = clock_.now();
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

Ahead Serving::ahead_of(const Session& s) const {
  Ahead a;
  const auto& decodes = view_.nodes();
  const auto d = std::ranges::find(decodes, control::Role::decode, [](const auto& n) { return n.second.info.role; });
  const std::uint32_t block_size = d == decodes.end() ? 16 : d->second.info.block_size;
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first < Key{s.spec.priority, s.id.value()}; ++it) {
    a.blocks += blocks_needed(it->second->features, block_size);
    a.seqs += 1;
    a.limits += it->second->features.max_new_tokens;
  }
  return a;
}

/// A choice that will be too slow for what the request states of its own: not taken up, since its prefill would be for
/// nothing.
std::optional<Refusal> Serving::too_slow(const Session& s, const ClusterSnapshot& c, Decision& d) {
  const double limit = s.spec.slo_tpot ? seconds(*s.spec.slo_tpot) : options_.max_tpot_s;
  if (limit <= 0 || s.resumes > 0) return std::nullopt;
  const Candidate before = d.chosen;
  auto refusal = admission_.check_speed(c, s.features, d, occupants(), limit, clock_.now());
  // Neither the cheapest nor a probe any more.
  if (d.chosen.prefill != before.prefill || d.chosen.decode != before.decode || d.chosen.profile != before.profile)
    d.reason = ChoiceReason::best;
  if (refusal) count_early("speed");
  return refusal;
}

void Serving::count_early(const char* why) {
  metrics_
      .counter("sluice_early_rejections_total",
               "Requests refused for what decode nodes are expected to hold, before anything was computed.",
               {{"why", why}})
      .Increment();
}

/// Nothing has room now. Who is expected to get some in time waits; the others hear at once when to come again.
void Serving::wait(const SessionPtr& s) {
  auto refuse = [&](const Error& e, double retry_after_s) {
    figures_.on_refused(name(e.code));
    fail_session(s, e, retry_after_s);
  };
  auto late = [&](double deadline_s) {
    return admission_.check_wait(view_.snapshot(), s->features, occupants(), ahead_of(*s), deadline_s, clock_.now());
  };
  if (s->resumes == 0 && !s->awaits_node)
    if (const auto r = late(deadline_s(*s))) {
      count_early("room");
      return refuse(r->error, r->retry_after_s);
    }
  if (waiting_.size() >= options_.max_waiting) {
    const auto turn = late(0);  // when it would be its own
    return refuse(
        Error{Errc::resource_exhausted, fmt::format("{} requests wait already; retry later", waiting_.size()), {}},
        turn ? turn->retry_after_s : 1);
  }
  waiting_.emplace(Key{s->spec.priority, s->id.value()}, s);
}

}  // namespace sluice::coordinator
