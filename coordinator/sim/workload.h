#pragma once
// Loads for the simulator: Poisson or gamma arrivals with lengths from a distribution. Pure; the same seed gives the
// same load on every machine (own transforms; the standard library's distributions differ between implementations).
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::sim {

struct SimRequest {
  double at_s = 0;
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  // A recorded prompt's prefix blocks, where the trace names them: equal ids, equal blocks. Repeats of a trace share
  // them.
  std::shared_ptr<const std::vector<std::uint32_t>> prefix_blocks{};
  int priority = 0;  // smaller is sooner
  // Output tokens that it states as its limit; 0: it states what it will generate, kNoLimit: none.
  std::uint32_t max_tokens = 0;
};
inline constexpr std::uint32_t kNoLimit = UINT32_MAX;
using Load = std::vector<SimRequest>;

/// A load of another kind, behind the one before.
struct LoadPhase {
  std::size_t requests = 0;
  double rate = 1, prompt_mean = 2048, output_mean = 128;
};

struct LoadSpec {
  std::size_t requests = 1000;
  double rate = 1;        // per second
  double burstiness = 1;  // coefficient of variation of the gaps; 1 is Poisson, above it a gamma process
  double prompt_mean = 2048;
  double prompt_spread = 0.6;  // sigma of the log
  double output_mean = 128;
  double output_spread = 0.6;
  std::uint32_t max_tokens = 32768;  // of either
  // From this share of the load on, prompts are so many times longer.
  double shift_at = 1, shift_factor = 1;
  std::vector<LoadPhase> phases;  // that follow
  bool hidden_lengths = false;    // see hide_lengths
  std::uint32_t stated = kNoLimit;
  std::uint64_t seed = 1;
};

[[nodiscard]] Load make_load(const LoadSpec& s);

/// Nobody says any more how long an output will be: all state the same, or kNoLimit. Nothing where lengths are told.
void hide_lengths(Load& load, const LoadSpec& s);

}  // namespace sluice::sim
