#include "coordinator/policy/mover.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace sluice::coordinator {

std::string_view name(MoveReason r) noexcept {
  switch (r) {
    case MoveReason::asked:
      return "asked";
    case MoveReason::drain:
      return "drain";
    case MoveReason::room:
      return "room";
    case MoveReason::memory:
      return "memory";
    case MoveReason::slo:
      return "slo";
  }
  return "asked";
}

namespace {

/// Sequences of a node that are looked at for a move: those that are worth it most. All of them against all nodes would
/// hold up whoever decides.
constexpr std::size_t kLookedAt = 8;

/// The indices of those with the highest keys, in that order.
template <class Key>
std::vector<std::size_t> first_few(std::vector<std::pair<Key, std::size_t>>& all) {
  const std::size_t n = std::min(kLookedAt, all.size());
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>());
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(all[i].second);
  return out;
}

/// Blocks that are free, and where sequences grow not expected to be taken by those that are there.
double spare_blocks(const DecodeView& d) {
  const double free = d.free_blocks;
  if (!d.grows) return free;
  return std::clamp(d.total_blocks * (1 - d.memory.margin()) - d.memory.expected_peak(), 0.0, free);
}

double blocks_of(double tokens, const DecodeView& d) { return std::ceil(tokens / std::max(d.block_size, 1U)); }

}  // namespace

struct Mover::Plan {
  /// What a node holds, with what the plan has moved so far.
  struct Load {
    double free_blocks = 0, seqs = 0, context = 0, share = 0;
    std::size_t leaving = 0;  // sequences on their way out
  };
  const ClusterSnapshot& c;
  const std::vector<NodeOutlook>& nodes;
  const std::vector<MovableLeg>& legs;
  const OutputLengths& lengths;
  MoverSight& sight;
  TimePoint now;
  std::vector<Load> load;
  std::vector<bool> taken;
  std::vector<PlannedMove> moves;

  [[nodiscard]] double left(const MovableLeg& l) const {
    return expected_left(lengths, static_cast<std::uint32_t>(l.emitted), static_cast<std::uint32_t>(l.limit));
  }
  /// Blocks that it will hold on a node: what it holds, and what it is expected to.
  [[nodiscard]] double needs(const MovableLeg& l, std::size_t node) const {
    const double expected = blocks_of(l.positions + left(l), c.decodes[node]);
    const double same = l.blocks * c.decodes[l.node].block_size / std::max(c.decodes[node].block_size, 1U);
    return std::max(expected, std::ceil(same));
  }
  /// Blocks that are to be had where it leaves.
  [[nodiscard]] double gives(const MovableLeg& l) const {
    return c.decodes[l.node].grows ? needs(l, l.node) : l.blocks;
  }
  [[nodiscard]] double share(const MovableLeg& l, std::size_t node) const {
    return blocks_of(l.positions + left(l), c.decodes[node]) / std::max(c.decodes[node].total_blocks, 1U);
  }
  [[nodiscard]] bool fits(const MovableLeg& l, std::size_t node) const {
    const Load& at = load[node];
    return node != l.node && c.decodes[node].usable && !nodes[node].drains && needs(l, node) <= at.free_blocks &&
           at.seqs < c.decodes[node].max_seqs && sight.may_go(l, node);
  }
  [[nodiscard]] double here_s(const MovableLeg& l) const {
    return sight.step_s(l.node, load[l.node].seqs, load[l.node].context);
  }
  [[nodiscard]] double there_s(const MovableLeg& l, std::size_t node) const {
    return sight.step_s(node, load[node].seqs + 1, load[node].context + l.positions);
  }
  /// The node that a sequence fits on best: one that keeps its objective before others, then the emptiest.
  template <class Pred>
  [[nodiscard]] std::optional<std::size_t> best_target(const MovableLeg& l, const Pred& may) const {
    std::optional<std::size_t> best;
    std::pair<bool, double> least;
    for (std::size_t d = 0; d < c.decodes.size(); ++d) {
      if (!fits(l, d) || !may(d)) continue;
      const std::pair<bool, double> cost{there_s(l, d) > l.tpot_slo_s,
                                         std::max(load[d].share, load[d].seqs / std::max(c.decodes[d].max_seqs, 1U))};
      if (best && cost >= least) continue;
      best = d;
      least = cost;
    }
    return best;
  }
};

std::vector<PlannedMove> Mover::plan(const ClusterSnapshot& c, const std::vector<NodeOutlook>& nodes,
                                     const std::vector<MovableLeg>& legs, const std::optional<WaitingPrompt>& waits,
                                     const OutputLengths& lengths, MoverSight& sight, TimePoint now) {
  Plan p{.c = c,
         .nodes = nodes,
         .legs = legs,
         .lengths = lengths,
         .sight = sight,
         .now = now,
         .load = std::vector<Plan::Load>(c.decodes.size()),
         .taken = std::vector<bool>(legs.size()),
         .moves = {}};
  for (std::size_t d = 0; d < c.decodes.size(); ++d) {
    const DecodeView& v = c.decodes[d];
    p.load[d] = {.free_blocks = spare_blocks(v),
                 .seqs = static_cast<double>(v.seqs),
                 .context = static_cast<double>(v.total_blocks - v.free_blocks) * v.block_size,
                 .share = nodes[d].memory_share};
  }
  for (const MovableLeg& l : legs)
    if (l.moving) ++p.load[l.node].leaving;
  for (auto* of : {&last_, &full_, &slow_})
    std::erase_if(
        *of, [&](const auto& n) { return std::ranges::find(c.decodes, n.first, &DecodeView::id) == c.decodes.end(); });
  drains(p);
  if (!options_.rebalance) return std::move(p.moves);
  if (waits && waits->waited_s >= options_.room_wait_s) make_room(p, *waits);
  relieve(p);
  keep_pace(p);
  return std::move(p.moves);
}

void Mover::take(Plan& p, const PlannedMove& m) {
  const MovableLeg& l = p.legs[m.leg];
  Plan::Load& from = p.load[l.node];
  Plan::Load& to = p.load[m.target];
  p.taken[m.leg] = true;
  ++from.leaving;
  // Until it has left it holds its place here, too; what it will not hold any more counts for those who come next.
  from.share -= p.share(l, l.node);
  from.seqs -= 1;
  from.context -= l.positions;
  to.share += p.share(l, m.target);
  to.free_blocks -= p.needs(l, m.target);
  to.seqs += 1;
  to.context += l.positions;
  p.moves.push_back(m);
  if (m.reason == MoveReason::drain) return;
  last_[p.c.decodes[l.node].id] = p.now;
  last_[p.c.decodes[m.target].id] = p.now;
}

/// Those with the most left go first: they would hold up the drain for longest. One that ends before its copy would be
/// there stays.
void Mover::drains(Plan& p) {
  std::vector<std::pair<double, std::size_t>> leaving;
  for (std::size_t i = 0; i < p.legs.size(); ++i)
    if (p.nodes[p.legs[i].node].drains && !p.legs[i].moving) leaving.emplace_back(-p.left(p.legs[i]), i);
  std::ranges::sort(leaving);
  for (const auto& [left, i] : leaving) {
    const MovableLeg& l = p.legs[i];
    if (p.load[l.node].leaving >= options_.drain_at_a_time) continue;
    const auto to = p.best_target(l, [](std::size_t) { return true; });
    if (!to) continue;
    if ((l.limit - l.emitted) * p.here_s(l) <= p.sight.copy_s(l.node, *to, l.positions)) continue;
    take(p, {i, *to, MoveReason::drain});
  }
}

bool Mover::rested(const NodeId& node, TimePoint now) const {
  const auto it = last_.find(node);
  return it == last_.end() || seconds(now - it->second) >= options_.per_node_s;
}

bool Mover::lasts(std::map<NodeId, TimePoint>& since, const NodeId& node, bool bad, TimePoint now) const {
  if (!bad) {
    since.erase(node);
    return false;
  }
  const auto it = since.try_emplace(node, now).first;
  return seconds(now - it->second) >= options_.lasting_s;
}

bool Mover::may_give(const Plan& p, const MovableLeg& l) const {
  return !l.moving && l.moves < options_.leg_moves && l.rested_s >= options_.leg_rest_s && !p.nodes[l.node].drains &&
         p.load[l.node].leaving < options_.others_at_a_time;
}

/// The fewest sequences whose blocks make up for what is missing, the largest first, each with a place elsewhere.
std::optional<std::vector<PlannedMove>> Mover::evacuate(const Plan& p, std::size_t node, double blocks) const {
  std::vector<std::pair<double, std::size_t>> here;
  for (std::size_t i = 0; i < p.legs.size(); ++i)
    if (p.legs[i].node == node && !p.taken[i] && may_give(p, p.legs[i])) here.emplace_back(p.gives(p.legs[i]), i);
  std::vector<double> promised(p.c.decodes.size());
  std::vector<PlannedMove> out;
  double missing = blocks - p.load[node].free_blocks;
  for (const std::size_t i : first_few(here)) {
    if (missing <= 0) return out;
    if (out.size() == options_.room_moves) return std::nullopt;
    const MovableLeg& l = p.legs[i];
    const auto to = p.best_target(l, [&](std::size_t d) {
      return rested(p.c.decodes[d].id, p.now) && promised[d] + p.needs(l, d) <= p.load[d].free_blocks;
    });
    if (!to) continue;
    promised[*to] += p.needs(l, *to);
    missing -= p.gives(l);
    out.push_back({i, *to, MoveReason::room});
  }
  return missing <= 0 ? std::optional(std::move(out)) : std::nullopt;
}

void Mover::make_room(Plan& p, const WaitingPrompt& w) {
  std::optional<std::vector<PlannedMove>> best;
  double least = 0;
  for (std::size_t d = 0; d < p.c.decodes.size(); ++d) {
    const DecodeView& v = p.c.decodes[d];
    const double need = blocks_of(w.tokens, v);
    if (!v.usable || need > v.total_blocks || !rested(v.id, p.now)) continue;
    if (p.load[d].leaving > 0) return;  // that makes room already
    if (need <= p.load[d].free_blocks) return;
    auto moves = evacuate(p, d, need);
    if (!moves || moves->empty()) continue;
    double positions = 0;
    for (const PlannedMove& m : *moves) positions += p.legs[m.leg].positions;
    if (best && positions >= least) continue;
    best = std::move(moves);
    least = positions;
  }
  if (!best) return;
  for (const PlannedMove& m : *best) take(p, m);
}

/// One at a time off a node that is expected to run out: the least urgent, and of those the one that will hold most.
void Mover::relieve(Plan& p) {
  for (std::size_t d = 0; d < p.c.decodes.size(); ++d) {
    const DecodeView& v = p.c.decodes[d];
    const bool bad = p.load[d].share > options_.memory_high || p.nodes[d].parked > 0;
    if (!lasts(full_, v.id, bad && v.usable, p.now) || !rested(v.id, p.now)) continue;
    std::vector<std::pair<std::pair<int, double>, std::size_t>> here;
    for (std::size_t i = 0; i < p.legs.size(); ++i)
      if (p.legs[i].node == d && !p.taken[i] && may_give(p, p.legs[i]))
        here.push_back({{p.legs[i].priority, p.share(p.legs[i], d)}, i});
    for (const std::size_t i : first_few(here)) {
      const MovableLeg& l = p.legs[i];
      const auto to = p.best_target(l, [&](std::size_t t) {
        const double then = p.load[t].share + p.share(l, t);
        return p.nodes[t].parked == 0 && rested(p.c.decodes[t].id, p.now) && then < options_.memory_low;
      });
      if (!to) continue;
      take(p, {i, *to, MoveReason::memory});
      break;
    }
  }
}

/// What a sequence that is late where it is would save there, in seconds; 0 where it would not keep its objective, or
/// not pay for the stall and for the copy, which holds up others a little.
double Mover::gain(const Plan& p, const MovableLeg& l, std::size_t target) const {
  const double here = p.here_s(l);
  const double there = p.there_s(l, target);
  if (there >= here) return 0;
  const double left = p.left(l);
  const double stall = options_.stall_tokens * there + 0.1 * p.sight.copy_s(l.node, target, l.positions);
  if (l.elapsed_s + left * there + stall > options_.slo_margin * l.tpot_slo_s * (l.emitted + left)) return 0;
  const double saved = left * (here - there);
  return saved > options_.gain * stall ? saved : 0;
}

/// A sequence that will miss its objective where it is and keep it elsewhere: of each node the one that gains most, of
/// the few that have most left.
void Mover::keep_pace(Plan& p) {
  std::vector<std::vector<std::pair<double, std::size_t>>> late(p.c.decodes.size());
  std::vector<bool> slow(p.c.decodes.size());
  for (std::size_t i = 0; i < p.legs.size(); ++i) {
    const MovableLeg& l = p.legs[i];
    const double left = p.left(l);
    if (p.nodes[l.node].drains || l.tpot_slo_s <= 0 || l.emitted + left < 1) continue;
    if (l.elapsed_s + left * p.here_s(l) <= l.tpot_slo_s * (l.emitted + left)) continue;
    slow[l.node] = true;
    if (!p.taken[i] && may_give(p, l)) late[l.node].emplace_back(left, i);
  }
  for (std::size_t d = 0; d < late.size(); ++d) {
    const NodeId& node = p.c.decodes[d].id;
    if (!lasts(slow_, node, slow[d], p.now) || !rested(node, p.now)) continue;
    std::optional<PlannedMove> best;
    double most = 0;
    for (const std::size_t i : first_few(late[d])) {
      const MovableLeg& l = p.legs[i];
      const auto to = p.best_target(l, [&](std::size_t t) {
        return rested(p.c.decodes[t].id, p.now) && p.load[t].share + p.share(l, t) < options_.memory_low &&
               gain(p, l, t) > 0;
      });
      const double gained = to ? gain(p, l, *to) : 0;
      if (gained <= most) continue;
      best = PlannedMove{i, *to, MoveReason::slo};
      most = gained;
    }
    if (best) take(p, *best);
  }
}

}  // namespace sluice::coordinator
