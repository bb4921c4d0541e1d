#pragma once
// The simulated prefill nodes: the daemons' scheduler over passes that take the time their hardware says. Hands each
// chunk's KV to the transfer side. Owns the nodes; the scene is borrowed.
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "coordinator/sim/sim_scene.h"
#include "coordinator/sim/transfer_side.h"
#include "engine/policy/prefix_cache.h"
#include "engine/policy/scheduler.h"

namespace sluice::sim {

class PrefillSide {
 public:
  PrefillSide(Scene& scene, TransferSide& out) : scene_(scene), out_(out) {}

  /// The next node.
  void add(const Hardware& h, std::uint32_t blocks);
  /// The prompt has come to its node.
  void submit(std::uint32_t id);
  void pass_ends(std::size_t p);
  /// Its KV has arrived: its blocks are free.
  void let_go(std::uint32_t id);
  /// Tokens of the longest prompt that a node holds.
  [[nodiscard]] std::uint32_t longest_prompt() const noexcept { return longest_prompt_; }
  /// What the node says of itself, into the coordinator's view.
  void report(std::size_t p);

 private:
  struct Node {
    engine::BlockAllocator blocks;
    std::optional<engine::PrefixCache> cache;
    engine::Scheduler scheduler;
    std::deque<std::uint32_t> waiting;  // no blocks yet
    std::vector<engine::Work> running;
    double pass_from_s = 0;
    std::uint64_t told = 0;  // of the cache's changes, the first that the coordinator has not heard of
    Node(std::uint32_t n, std::uint32_t block, bool caches) : blocks(n), scheduler(blocks, block) {
      if (caches) cache.emplace(blocks);
    }
  };
  [[nodiscard]] double slow(std::size_t p) const;
  [[nodiscard]] std::uint32_t tokens(std::uint32_t id) const { return scene_.active[id].k.cut; }
  void admit_waiting(Node& n);
  /// False: there is no room.
  [[nodiscard]] bool admit(Node& n, std::uint32_t id);
  void kick(std::size_t p);

  Scene& scene_;
  TransferSide& out_;
  std::deque<Node> nodes_;  // deque: the schedulers keep references into their node
  std::uint32_t longest_prompt_ = 0;
};

}  // namespace sluice::sim
