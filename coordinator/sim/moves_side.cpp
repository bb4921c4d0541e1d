#include "coordinator/sim/moves_side.h"

#include <algorithm>

namespace sluice::sim {

using namespace coordinator;

namespace {

constexpr double kTurnS = 0.5, kDrainTurnS = 0.1;

}  // namespace

MovesSide::MovesSide(Scene& scene, Policy& policy, DecodeSide& decodes)
    : scene_(scene), policy_(policy), decodes_(decodes), mover_(scene.spec.mover) {}

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
      if (!a.decodes || a.first_s < 0 || o.emitted < 1) continue;
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

void MovesSide::turn(std::uint64_t event, const OutputLengths& lengths, const std::optional<WaitingPrompt>& waits) {
  if (event != next_turn_) return;
  const ClusterSpec& spec = scene_.spec;
  const std::vector<MovableLeg> legs = movable();
  std::vector<NodeOutlook> nodes(scene_.view.decodes.size());
  // Whole outputs have their blocks: nothing runs out, so that memory is no reason to move.
  for (std::size_t d = 0; d < nodes.size(); ++d) {
    const DecodeView& v = scene_.view.decodes[d];
    nodes[d].memory_share =
        std::min(1.0 - static_cast<double>(v.free_blocks) / std::max(v.total_blocks, 1U), spec.mover.memory_high);
  }
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
    start(static_cast<std::uint32_t>(legs[m.leg].id.value()), m.target, m.reason);
  next_turn_ = scene_.push(scene_.now + (draining ? kDrainTurnS : kTurnS), What::move_turn, 0);
}

std::uint32_t MovesSide::blocks(const Active& a) const {
  const SimRequest& q = scene_.asked(a);
  return blocks_needed({.prompt_tokens = q.prompt_tokens, .max_new_tokens = q.output_tokens}, scene_.spec.block_size);
}

void MovesSide::give_back(std::size_t node, const Active& a) {
  DecodeView& v = scene_.view.decodes[node];
  v.free_blocks = std::min(v.total_blocks, v.free_blocks + blocks(a));
  --v.seqs;
}

void MovesSide::start(std::uint32_t id, std::size_t target, MoveReason why) {
  Active& a = scene_.active[id];
  a.target = static_cast<std::int32_t>(target);
  a.moved_s = scene_.now;
  if (why != MoveReason::drain) ++a.tries;
  DecodeView& v = scene_.view.decodes[target];
  v.free_blocks -= std::min(v.free_blocks, blocks(a));
  ++v.seqs;
  const double takes = copy_s(a.k.decode, target, scene_.asked(a).prompt_tokens + a.output);
  ++copies_[a.k.decode];
  a.move_event = scene_.push(scene_.now + scene_.vary(takes, scene_.spec.spread), What::move_halt, id);
}

void MovesSide::halt(std::uint32_t id, std::uint64_t event) {
  const Active& a = scene_.active[id];
  if (a.used && a.target >= 0 && a.move_event == event) decodes_.leave(id);
}

void MovesSide::left(std::uint32_t id) {
  Active& a = scene_.active[id];
  --copies_[a.k.decode];
  give_back(a.k.decode, a);
  a.k.decode = static_cast<std::size_t>(a.target);
  a.target = -1;
  a.moved = true;
  ++scene_.result.moves;
  const ClusterSpec& spec = scene_.spec;
  const double last = spec.block_size * spec.model.kv_bytes_per_token / spec.link_bps;
  scene_.push(scene_.now + scene_.vary(2 * spec.message_s + last, spec.spread), What::move_in, id);
}

void MovesSide::ended(std::uint32_t id) {
  Active& a = scene_.active[id];
  if (a.target < 0) return;
  --copies_[a.k.decode];
  give_back(static_cast<std::size_t>(a.target), a);
  a.target = -1;
}

}  // namespace sluice::sim
