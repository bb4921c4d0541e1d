#pragma once
// The coordinator's account of decode memory in a simulation: what each request holds, as far as its tokens have come,
// and what is expected of each node (the daemons' MemoryForecast); see MemoryPolicy. Keeps the view's free blocks,
// sequences and forecasts. The scene is borrowed.
#include <functional>
#include <vector>

#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/room.h"
#include "coordinator/sim/sim_scene.h"

namespace sluice::sim {

/// A sequence whose end is known. Times in steps.
struct KnownSequence {
  std::uint32_t tokens = 0;     // that it holds
  std::uint32_t left = 0;       // that it will make
  std::uint32_t starts_in = 0;  // until it makes the first of them
};
/// Whether all of them keep within a pool at every time. What is held is most when one ends.
[[nodiscard]] bool fit_together(std::vector<KnownSequence>& all, std::uint32_t pool, std::uint32_t block_size);

class MemoryBook {
 public:
  using Lengths = std::function<const coordinator::OutputLengths&()>;
  /// `lengths`: what is known of how long outputs become; asked when needed.
  MemoryBook(Scene& scene, Lengths lengths) : scene_(scene), lengths_(std::move(lengths)) {}

  /// Once the view has its nodes.
  void begin();
  [[nodiscard]] bool grows() const noexcept { return scene_.spec.memory != MemoryPolicy::reserve; }
  [[nodiscard]] bool forecasts() const noexcept { return scene_.spec.memory == MemoryPolicy::sluice; }
  /// What a request asks of a node, with so many tokens of its output there.
  [[nodiscard]] coordinator::RequestFeatures asks(const SimRequest& q, std::uint32_t limit,
                                                  std::uint32_t emitted) const;

  [[nodiscard]] coordinator::DecodePlace take(const Active& a, std::size_t d);
  void give(const coordinator::DecodePlace& place, std::size_t d);
  /// So many tokens have come of its output: it may hold another block.
  void emitted(Active& a, std::uint32_t tokens) {
    if (a.place.grows_at > 0 && scene_.asked(a).prompt_tokens + tokens >= a.place.grows_at) grow(a, tokens);
  }
  /// A node had no room for one that it should have had room for: nobody new goes there until it speaks again.
  void full(std::size_t d) { scene_.view.decodes[d].closed = told_[d] = true; }
  /// A node says how many sequences are without their blocks, and how many have lost them since it said so last.
  void told(std::size_t d, std::uint32_t parked, std::uint64_t preempted);
  [[nodiscard]] bool closed(std::size_t d) const { return told_[d]; }

 private:
  void grow(Active& a, std::uint32_t tokens);
  void hold(std::size_t d, std::int64_t blocks);

  Scene& scene_;
  Lengths lengths_;
  std::vector<std::int64_t> held_;  // blocks of each node
  std::vector<bool> told_;          // closed, as far as the coordinator knows
};

}  // namespace sluice::sim
