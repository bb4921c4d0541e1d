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

namespace {

/// Legs that are with a prefill node.
struct AtNode {
  std::size_t known = 0;  // since before its last heartbeat
  std::size_t fresh = 0;  // it has not told of them yet
};

/// A node computes prompts one after another: a fresh one stands behind the others, or is computed if there are none.
std::size_t queued(const AtNode& at, const control::Heartbeat& told) {
  const bool idle = told.waiting == 0 && told.running == 0;
  return std::min<std::size_t>(at.known, told.waiting) + (idle && at.fresh > 0 ? at.fresh - 1 : at.fresh);
}

}  // namespace

LegCounts LegTable::counts(const ClusterView& view) const {
  LegCounts out;
  std::map<NodeId, AtNode> prefilling;
  for (const auto& [id, s] : legs_) {
    const NodeRecord* n = s->state == SessionState::prefilling ? view.find(s->run.prefill) : nullptr;
    if (n != nullptr)
      ++(s->run.decided > n->seen ? prefilling[s->run.prefill].fresh : prefilling[s->run.prefill].known);
    else if (s->state == SessionState::waiting || s->state == SessionState::reserving)
      ++out.waiting;
    else if (s->state != SessionState::ended)
      ++out.running;
  }
  for (const auto& [node, at] : prefilling) {
    const std::size_t waiting = queued(at, view.find(node)->last);
    out.waiting += waiting;
    out.running += at.known + at.fresh - waiting;
  }
  return out;
}

std::vector<SessionPtr> LegTable::on_node(const NodeId& node) const {
  std::vector<SessionPtr> out;
  for (const auto& [id, s] : legs_) {
    const bool decodes = s->placed() && s->run.decode == node;
    const bool prefills = (s->placed() || s->state == SessionState::reporting) && s->run.prefill == node;
    if (decodes || (prefills && !s->run.prefill_reported)) out.push_back(s);
  }
  std::ranges::sort(out, {}, [](const SessionPtr& s) { return s->id; });
  return out;
}

OccupantsOf LegTable::occupants(const ClusterView& view, TimePoint now) const {
  std::vector<std::vector<Occupant>> out;
  for (const auto& [id, s] : legs_) {
    const NodeRecord* n = s->placed() ? view.find(s->run.decode) : nullptr;
    if (n == nullptr) continue;
    Occupant o{.blocks = static_cast<double>(s->run.place.blocks),
               .emitted = static_cast<double>(s->answer.emitted.size()),
               .limit = static_cast<double>(s->asked.features.max_new_tokens)};
    if (!s->answer.first_token) o.starts_in_s = s->run.predicted_ttft_s - seconds(now - s->run.decided);
    if (n->info.grows) o.blocks_a_token = 1.0 / n->info.block_size;
    o.tpot_s = s->tpot_s().value_or(s->run.predicted_tpot_s);
    out.resize(std::max(out.size(), n->index + 1));
    out[n->index].push_back(o);
    const NodeRecord* target = s->moves.now ? view.find(s->moves.now->target) : nullptr;
    if (target == nullptr) continue;
    o.blocks = static_cast<double>(s->moves.now->place.blocks);
    o.blocks_a_token = target->info.grows ? 1.0 / target->info.block_size : 0;
    out.resize(std::max(out.size(), target->index + 1));
    out[target->index].push_back(o);
  }
  for (const auto& [id, n] : view.nodes()) {
    if (n.info.role != control::Role::decode || n.last.others_seqs == 0) continue;
    out.resize(std::max(out.size(), n.index + 1));
    // Nobody tells how far they are. They are taken to begin, which errs on the side of waiting.
    const double seqs = std::min(n.last.others_seqs, n.info.max_seqs);
    const Occupant o{.blocks = n.last.others_blocks / seqs,
                     .limit = kOthersLimit,
                     .tpot_s = n.last.step_s,
                     .blocks_a_token = n.info.grows ? 1.0 / n.info.block_size : 0};
    out[n.index].insert(out[n.index].end(), static_cast<std::size_t>(seqs), o);
  }
  return [all = std::move(out)](std::size_t node) {
    return node < all.size() ? std::span<const Occupant>(all[node]) : std::span<const Occupant>();
  };
}

}  // namespace sluice::coordinator
