#pragma once
// The simulated decode nodes: the daemons' scheduler over batched steps. Knows who has a place on them, which is what a
// coordinator's forecasts are made from. Owns the nodes; scene and book are borrowed.
//
// Blocks are taken as tokens come, but where MemoryPolicy is reserve. Who is parked is copied to the host's memory, one
// sequence after another, and back; or its rows are computed again, where that is exact (its KV came without loss) and
// sooner. The host's memory is taken to be large enough.
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "coordinator/policy/admission.h"
#include "coordinator/sim/memory_book.h"
#include "coordinator/sim/sim_scene.h"
#include "engine/policy/scheduler.h"

namespace sluice::sim {

/// Decode steps of one batch, one after another until a sequence ends, lacks a block, or another joins: one event for
/// all of them. A step reads one token more of each sequence than the one before, so their times grow evenly.
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
  /// computed: of each request with its first token; ended: when its output is whole, and it may expect() others; left:
  /// of each that has come to its stop; parked: of each that lost its blocks.
  struct Hears {
    Told computed, ended, left, parked;
  };
  DecodeSide(Scene& scene, MemoryBook& book, Hears hears) : scene_(scene), book_(book), hears_(std::move(hears)) {}

  /// The next node.
  void add(const Hardware& h, std::uint32_t blocks);
  /// The request wants a place on a node, for KV that will come: so many positions of it, and the last of `tokens` is
  /// the node's to compute. False: the node has no room now.
  [[nodiscard]] bool expect(std::uint32_t id, std::size_t d, std::uint32_t computed, std::uint32_t tokens);
  /// It will not come.
  void forget(std::uint32_t id, std::size_t d);
  /// Its KV is there; or there is none to come.
  void ready(std::uint32_t id);
  /// It leaves for its target once it has made a.stop tokens, if it makes as many.
  void stop_ahead(std::uint32_t id);
  /// Requests with a place on a node, in the order of occupants().
  [[nodiscard]] std::span<const std::uint32_t> held(std::size_t d) const { return nodes_[d].held; }
  void run_ends(std::size_t d, std::uint64_t event);
  void copied_out(std::size_t d);
  void copied_in(std::uint32_t id);
  /// Tokens that have come since this was asked last, into the coordinator's book.
  void tell_tokens();
  /// Who is on a node, as a coordinator would know it. One answer at a time.
  [[nodiscard]] coordinator::OccupantsOf occupants();
  /// Sequences of a node that have lost their blocks.
  [[nodiscard]] std::uint32_t parked(std::size_t d) const { return nodes_[d].parked; }
  /// What the node says of itself, into the coordinator's view.
  void report(std::size_t d);

 private:
  struct Node {
    engine::BlockAllocator blocks;
    engine::Scheduler scheduler;
    std::vector<engine::Work> running;
    std::vector<std::uint32_t> held;  // requests with a place here, arrived or on their way
    StepRun run;
    std::size_t ready = 0;                 // sequences whose KV is here
    std::deque<engine::Eviction> leaving;  // being copied out, in this order
    double out_free_s = 0, in_free_s = 0;  // when copies each way are done
    std::uint32_t parked = 0;              // sequences without their blocks, or whose KV is on its way back
    std::uint64_t preempted = 0;           // since the last report
    double step_s = 0, batch = 0;
    Node(std::uint32_t n, std::uint32_t block) : blocks(n), scheduler(blocks, block) {}
  };
  [[nodiscard]] coordinator::Occupant occupant(const Active& a, const Node& n) const;
  [[nodiscard]] std::uint32_t emitted(const Active& a, const Node& n) const;
  void join(std::size_t d, std::uint32_t id);
  void part(std::size_t d, std::uint32_t id);
  void wake(std::size_t d);
  void catch_up(Node& n);
  void kick(std::size_t d);
  [[nodiscard]] std::uint32_t steps_of(const Node& n) const;
  [[nodiscard]] bool has_chunk(const Node& n) const;
  void start_mixed(std::size_t d);
  void first_token(Active& a, std::uint32_t id, double at_s);
  void emit(Active& a, std::uint32_t steps, double first_s);
  void stepped(std::size_t d, const engine::Work& w, std::uint32_t steps, double first_s);
  void end_run_at(std::size_t d, std::uint32_t steps);
  void tell_growth(std::size_t d);
  // Of decode_parking.cpp.
  [[nodiscard]] bool park_and_return(std::size_t d, engine::Plan& plan);
  void evict(std::size_t d, engine::Eviction e);
  void bring_back(std::size_t d, const engine::Return& r);
  [[nodiscard]] double copy_s(std::size_t d, std::uint32_t positions) const;
  [[nodiscard]] bool rather_recompute(std::size_t d, const Active& a, std::uint32_t positions) const;

  Scene& scene_;
  MemoryBook& book_;
  Hears hears_;
  std::deque<Node> nodes_;                      // deque: the schedulers keep references into their node
  std::vector<double> grows_s_;                 // when a sequence of a node takes its next block
  std::vector<coordinator::Occupant> on_node_;  // reused
};

}  // namespace sluice::sim
