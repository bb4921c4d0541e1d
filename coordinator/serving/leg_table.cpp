#include "coordinator/serving/leg_table.h"

#include <algorithm>
#include <map>

namespace sluice::coordinator {

SessionPtr LegTable::add(Asked asked, std::shared_ptr<LegSink> sink) {
  auto s = std::make_shared<Session>();
  s->id = RequestId(next_id_++);
  s->asked = std::move(asked);
  s->sink = std::move(sink);
  legs_.emplace(s->id, s);
  return s;
}

SessionPtr LegTable::find(RequestId id) const {
  const auto it = legs_.find(id);
  return it == legs_.end() ? nullptr : it->second;
}

LegCounts LegTable::counts(const ClusterView& view) const {
  LegCounts out;
  std::map<NodeId, std::size_t> prefilling;
  for (const auto& [id, s] : legs_) {
    if (s->state == SessionState::prefilling)
      ++prefilling[s->run.prefill];
    else if (s->state == SessionState::waiting || s->state == SessionState::reserving)
      ++out.waiting;
    else if (s->state != SessionState::ended)
      ++out.running;
  }
  for (const auto& [node, legs] : prefilling) {
    const NodeRecord* n = view.find(node);
    const std::size_t queued = n == nullptr ? 0 : std::min<std::size_t>(legs, n->last.waiting);
    out.waiting += queued;
    out.running += legs - queued;
  }
  return out;
}

std::vector<SessionPtr> LegTable::on_node(const NodeId& node) const {
  std::vector<SessionPtr> out;
  for (const auto& [id, s] : legs_) {
    if (!s->placed()) continue;
    if (s->run.decode == node || (s->run.prefill == node && !s->run.prefill_reported)) out.push_back(s);
  }
  std::ranges::sort(out, {}, [](const SessionPtr& s) { return s->id; });
  return out;
}

OccupantsOf LegTable::occupants(const ClusterView& view, TimePoint now) const {
  std::vector<std::vector<Occupant>> out;
  for (const auto& [id, s] : legs_) {
    const NodeRecord* n = s->placed() ? view.find(s->run.decode) : nullptr;
    if (n == nullptr) continue;
    Occupant o{.blocks = static_cast<double>(s->run.blocks),
               .emitted = static_cast<double>(s->answer.emitted.size()),
               .limit = static_cast<double>(s->asked.features.max_new_tokens)};
    if (!s->answer.first_token) o.starts_in_s = s->run.predicted_ttft_s - seconds(now - s->run.decided);
    o.tpot_s = s->tpot_s().value_or(s->run.predicted_tpot_s);
    out.resize(std::max(out.size(), n->index + 1));
    out[n->index].push_back(o);
  }
  return [all = std::move(out)](std::size_t node) {
    return node < all.size() ? std::span<const Occupant>(all[node]) : std::span<const Occupant>();
  };
}

}  // namespace sluice::coordinator
