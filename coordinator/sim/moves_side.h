#pragma once
// Sequences that move between simulated decode nodes: the daemons' Mover decides, a copy takes its time on the source's
// way out, which its copies share, and its sequence stops as many tokens ahead; the stream stands still from there
// until two messages and the last block are through, and the copy. A drain takes a node out and is over when nothing is
// left there. Owns the mover; the others are borrowed.
#include <vector>

#include "coordinator/policy/mover.h"
#include "coordinator/sim/decode_side.h"
#include "coordinator/sim/sim_scene.h"

namespace sluice::sim {

class MovesSide final : coordinator::MoverSight {
 public:
  MovesSide(Scene& scene, Policy& policy, MemoryBook& book, DecodeSide& decodes);

  /// The first turn and the drains; nothing where the cluster does not move sequences.
  void begin();
  void turn(std::uint64_t event, const coordinator::OutputLengths& lengths,
            const std::optional<coordinator::WaitingPrompt>& waits);
  void drain(std::size_t which);
  /// It has made its last token on its source.
  void left(std::uint32_t id);
  /// The target has all of it.
  void arrived(std::uint32_t id) { decodes_.ready(id); }
  /// Its output is whole, or it lost its blocks; it may have been on its way.
  void call_off(std::uint32_t id);

 private:
  bool may_go(const coordinator::MovableLeg&, std::size_t) override { return true; }
  double step_s(std::size_t node, double seqs, double context) override;
  double copy_s(std::size_t from, std::size_t to, double positions) override;
  [[nodiscard]] std::vector<coordinator::MovableLeg> movable();
  [[nodiscard]] std::vector<coordinator::NodeOutlook> outlook() const;
  void start(const coordinator::MovableLeg& leg, std::size_t target, coordinator::MoveReason why);

  Scene& scene_;
  Policy& policy_;
  MemoryBook& book_;
  DecodeSide& decodes_;
  coordinator::Mover mover_;
  std::vector<std::size_t> copies_;  // under way off each node
  std::uint64_t next_turn_ = 0;      // its event; others are outdated
};

}  // namespace sluice::sim
