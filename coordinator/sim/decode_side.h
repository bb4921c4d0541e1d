#pragma once
// The simulated decode nodes: the daemons' scheduler over batched steps. Knows who has a place on them, which is what a
// coordinator's forecasts are made from. Owns the nodes; the scene is borrowed.
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "coordinator/policy/admission.h"
#include "coordinator/sim/sim_scene.h"
#include "engine/policy/scheduler.h"

namespace sluice::sim {

/// Decode steps of one batch, one after another until a sequence ends or another joins: one event for all of them.
/// A step reads one token more of each sequence than the one before, so their times grow evenly.
struct StepRun {
  std::uint32_t steps = 0;
  double from_s = 0, first_s = 0, growth_s = 0;
  std::uint64_t event = 0;  // the one that ends it; others of this node are outdated
  [[nodiscard]] double end_of(std::uint32_t step) const {
    const double n = step;
    return from_s + n * first_s + 0.5 * n * (n - 1) * growth_s;
  }
  /// How many steps have begun at t, at least one.
  [[nodiscard]] std::uint32_t begun(double t) const {
    std::uint32_t low = 1;
    for (std::uint32_t high = steps; low < high;) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (end_of(middle) > t)
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  }
};

class DecodeSide {
 public:
  using Told = std::function<void(std::uint32_t id)>;
  /// `computed` hears of each request with its first token; `ended` when its output is whole, and it may expect()
  /// others; `left` of each that had to leave().
  DecodeSide(Scene& scene, Told computed, Told ended, Told left)
      : scene_(scene), computed_(std::move(computed)), ended_(std::move(ended)), left_(std::move(left)) {}

  /// The next node.
  void add(const Hardware& h, std::uint32_t blocks);
  /// The request has a place on its node, for KV that will come.
  void expect(std::uint32_t id);
  /// Its KV is there; or there is none to come.
  void ready(std::uint32_t id);
  /// It leaves at the end of its step, unless that is its last.
  void leave(std::uint32_t id);
  /// It comes from another node, with all of its KV, and goes on.
  void go_on(std::uint32_t id);
  /// Requests with a place on a node, in the order of occupants().
  [[nodiscard]] std::span<const std::uint32_t> held(std::size_t d) const { return nodes_[d].held; }
  void run_ends(std::size_t d, std::uint64_t event);
  /// Who is on a node, as a coordinator would know it. Requests state as their limit what they will generate, so that
  /// it knows when each ends. One answer at a time.
  [[nodiscard]] coordinator::OccupantsOf occupants();
  /// What the node says of itself, into the coordinator's view.
  void report(std::size_t d);

 private:
  struct Node {
    engine::BlockAllocator blocks;
    engine::Scheduler scheduler;
    std::vector<engine::Work> running;
    std::vector<std::uint32_t> held;  // requests with a place here, arrived or on their way
    StepRun run;
    std::size_t ready = 0;  // sequences whose KV is here
    double step_s = 0, batch = 0;
    Node(std::uint32_t n, std::uint32_t block) : blocks(n), scheduler(blocks, block) {}
  };
  [[nodiscard]] coordinator::Occupant occupant(const Active& a, const Node& n) const;
  void seat(std::uint32_t id, std::uint32_t computed);
  void kick(std::size_t d);
  [[nodiscard]] bool has_chunk(const Node& n) const;
  void start_mixed(std::size_t d);
  void first_token(Active& a, std::uint32_t id, double at_s);
  void stepped(Node& n, const engine::Work& w, std::uint32_t steps, double first_s);
  void end_run_at(std::size_t d, std::uint32_t steps);

  Scene& scene_;
  Told computed_, ended_, left_;
  std::deque<Node> nodes_;                      // deque: the schedulers keep references into their node
  std::vector<coordinator::Occupant> on_node_;  // reused
};

}  // namespace sluice::sim
