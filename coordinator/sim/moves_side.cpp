#include "coordinator/sim/moves_side.h"

#include <algorithm>
#include <cmath>

namespace sluice::sim {

using namespace coordinator;

namespace {

constexpr double kTurnS = 0.5, kDrainTurnS = 0.1;
constexpr double kLeastAheadS = 1e-3;

}  // namespace

MovesSide::MovesSide(Scene& scene, Policy& policy, MemoryBook& book, DecodeSide& decodes)
    : scene_(scene), policy_(policy), book_(book), decodes_(decodes), mover_(scene.spec.mover) {}

void MovesSide::begin() {
  copies_.resize(scene_.spec.decodes.size());
  scene_.result.drained_s.assign(scene_.spec.drains.size(), -1);
  for (std::size_t i = 0; i < scene_.spec.drains.size(); ++i) scene_.push(scene_.spec.drains[i].at_s, What::drain, i);
  if (scene_.spec.moves) next_turn_ = scene_.push(kTurnS, What::move_turn, 0);
}

void MovesSide::drain(std::size_t which) {
  scene_.view.decodes[scene_.spec.drains[which].decode].usable = false;
  if (scene_.spec.moves) next_turn_ = scene_.push(scene_.now, What::move_turn, 0);
}

double MovesSide::step_s(std::size_t node, double seqs, double context) {
  return policy_.placement().step_s(scene_.view, node, seqs, context, at(scene_.now));
}

double MovesSide::copy_s(std::size_t from, std::size_t, double positions) {
  const double bytes = positions * scene_.spec.model.kv_bytes_per_token;
  return 3 * scene_.spec.message_s + bytes * (1.0 + static_cast<double>(copies_[from])) / scene_.spec.link_bps;
}

std::vector<MovableLeg> MovesSide::movable() {
  std::vector<MovableLeg> out;
  const OccupantsOf on = decodes_.occupants();
  for (std::size_t d = 0; d < scene_.view.decodes.size(); ++d) {
    const auto held = decodes_.held(d);
    const auto occupants = on(d);
    for (std::size_t i = 0; i < held.size(); ++i) {
      const Active& a = scene_.active[held[i]];
      const SimRequest& q = scene_.asked(a);
      const Occupant& o = occupants[i];
      if (a.k.decode != d || !a.decodes || a.first_s < 0 || o.emitted < 1 || a.parked_s >= 0) continue;
      out.push_back({.id = RequestId(held[i]),
                     .node = d,
                     .positions = q.prompt_tokens + o.emitted - 1,
                     .emitted = o.emitted,
                     .limit = o.limit,
                     .blocks = o.blocks,
                     .elapsed_s = scene_.now - a.first_s,
                     .tpot_slo_s = scene_.spec.slo.tpot_s,
                     .priority = q.priority,
                     .moving = a.target >= 0,
                     .moves = a.tries,
                     .rested_s = scene_.now - std::max(a.first_s, a.moved_s)});
    }
  }
  return out;
}

std::vector<NodeOutlook> MovesSide::outlook() const {
  std::vector<NodeOutlook> nodes(scene_.view.decodes.size());
  for (std::size_t d = 0; d < nodes.size(); ++d) {
    const DecodeView& v = scene_.view.decodes[d];
    // Where whole outputs have their blocks nothing runs out, so that memory is no reason to move.
    const double most = book_.grows() ? INFINITY : scene_.spec.mover.memory_high;
    const double held = book_.forecasts() ? v.memory.expected_peak() : v.total_blocks - v.free_blocks;
    nodes[d] = {.memory_share = std::min(held / std::max(v.total_blocks, 1U), most), .parked = decodes_.parked(d)};
  }
  return nodes;
}

void MovesSide::turn(std::uint64_t event, const OutputLengths& lengths, const std::optional<WaitingPrompt>& waits) {
  if (event != next_turn_) return;
  const ClusterSpec& spec = scene_.spec;
  const std::vector<MovableLeg> legs = movable();
  std::vector<NodeOutlook> nodes = outlook();
  bool draining = false;
  for (std::size_t i = 0; i < spec.drains.size(); ++i) {
    const std::size_t d = spec.drains[i].decode;
    if (scene_.now < spec.drains[i].at_s) continue;
    nodes[d].drains = true;
    if (decodes_.held(d).empty() && scene_.result.drained_s[i] < 0)
      scene_.result.drained_s[i] = scene_.now - spec.drains[i].at_s;
    draining |= scene_.result.drained_s[i] < 0;
  }
  for (const PlannedMove& m : mover_.plan(scene_.view, nodes, legs, waits, lengths, *this, at(scene_.now)))
    start(legs[m.leg], m.target, m.reason);
  next_turn_ = scene_.push(scene_.now + (draining ? kDrainTurnS : kTurnS), What::move_turn, 0);
}

/// As far ahead as the copy of what is there now takes; its place on the target has room for that.
void MovesSide::start(const MovableLeg& leg, std::size_t target, MoveReason why) {
  const auto id = static_cast<std::uint32_t>(leg.id.value());
  Active& a = scene_.active[id];
  const double takes = scene_.vary(copy_s(leg.node, target, leg.positions), scene_.spec.spread);
  const double tpot_s = std::max(leg.elapsed_s / std::max(leg.emitted - 1, 1.0), 1e-6);
  const double stop = leg.emitted + 1 + std::ceil(std::max(takes, kLeastAheadS) / tpot_s);
  if (stop >= leg.limit) return;
  a.stop = static_cast<std::uint32_t>(stop);
  const std::uint32_t tokens = scene_.asked(a).prompt_tokens + a.stop;
  if (!decodes_.expect(id, target, tokens - 1, tokens)) {
    a.stop = UINT32_MAX;
    return book_.full(target);
  }
  a.target = static_cast<std::int32_t>(target);
  a.on_target = book_.take(a, target);
  a.moved_s = scene_.now;
  a.copied_s = scene_.now + takes;
  if (why != MoveReason::drain) ++a.tries;
  ++copies_[leg.node];
  decodes_.stop_ahead(id);
}

void MovesSide::left(std::uint32_t id) {
  Active& a = scene_.active[id];
  --copies_[a.k.decode];
  book_.give(a.place, a.k.decode);
  a.k.decode = static_cast<std::size_t>(a.target);
  a.place = a.on_target;
  book_.emitted(a, a.output);
  a.target = -1;
  a.stop = UINT32_MAX;
  a.moved = true;
  ++scene_.result.moves;
  const ClusterSpec& spec = scene_.spec;
  const double last = spec.block_size * spec.model.kv_bytes_per_token / spec.link_bps;
  scene_.push(std::max(scene_.now, a.copied_s) + scene_.vary(2 * spec.message_s + last, spec.spread), What::move_in,
              id);
}

void MovesSide::call_off(std::uint32_t id) {
  Active& a = scene_.active[id];
  if (a.target < 0) return;
  --copies_[a.k.decode];
  decodes_.forget(id, static_cast<std::size_t>(a.target));
  book_.give(a.on_target, static_cast<std::size_t>(a.target));
  a.target = -1;
  a.stop = UINT32_MAX;
}

}  // namespace sluice::sim
