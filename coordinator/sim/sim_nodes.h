#pragma once
// What a simulated node is made of: the daemons' scheduler and blocks, what it computes just now, and when encoder,
// links and decoder are free again. State only; coordinator/sim/cluster_sim.cpp moves it. Times in seconds of the
// simulation.
#include <cmath>
#include <cstdint>
#include <deque>
#include <vector>

#include "coordinator/policy/placement.h"
#include "coordinator/sim/shared_link.h"
#include "engine/policy/scheduler.h"

namespace sluice::sim {

inline constexpr double kMeter = 0.3;  // EWMA weight of what nodes measure of themselves

/// The policies' clock at a time of the simulation.
inline TimePoint at(double s) { return TimePoint(std::chrono::hours(1)) + from_seconds(s); }

inline void meter(double& figure, double sample) { figure = figure > 0 ? figure + kMeter * (sample - figure) : sample; }
inline void meter(double& figure, double sample, std::uint32_t times) {
  const double weight = times == 1 ? kMeter : 1 - std::pow(1 - kMeter, times);
  figure = figure > 0 ? figure + weight * (sample - figure) : sample;
}

/// A request under way.
struct Active {
  std::uint32_t row = 0;  // in the load
  bool used = false, decodes = false;
  coordinator::Candidate k;
  coordinator::Measured m;
  double decided_s = 0, submitted_s = 0, computed_s = 0, ready_s = 0, first_s = -1, wire_from_s = -1, wire_to_s = 0;
  double link_bytes = 0, link_busy_s = 0;  // of its link's account when it was submitted
  double planned_bps = 0, shipped = 0;     // of the link, as reckoned with; raw bytes handed to the encoder
  std::size_t sends = 0;                   // profile of what is encoded from now on
  std::uint32_t output = 0;
};

/// A chunk on its way from encoder to decoder.
struct Chunk {
  std::uint32_t id = 0;
  std::uint16_t profile = 0;
  bool last = false;
  double raw = 0, bytes = 0;
  double encode_s = 0, decode_s = 0;
  double entered_s = 0, encoded_s = 0;
  double behind = 0;  // share of a stage before the next begins
};

struct LinkSim {
  SharedLink link;
  std::uint64_t event = 0;                 // the one that ends a chunk; others of this link are outdated
  double told_bytes = 0, told_busy_s = 0;  // of the link's account when it was last reported
  bool to_tell = false, look_due = false;
};

struct PrefillSim {
  engine::BlockAllocator blocks;
  engine::Scheduler scheduler;
  std::deque<std::uint32_t> waiting;  // no blocks yet
  std::vector<engine::Work> running;
  double pass_from_s = 0, encoder_free_s = 0, rate = 0;
  std::vector<double> encode_bps;  // measured, by profile
  std::vector<LinkSim> links;      // by decode node
  std::vector<std::uint32_t> links_to_tell;
  PrefillSim(std::uint32_t n, std::uint32_t block) : blocks(n), scheduler(blocks, block) {}
};

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

struct DecodeSim {
  engine::BlockAllocator blocks;
  engine::Scheduler scheduler;
  std::vector<engine::Work> running;
  std::vector<std::uint32_t> held;  // requests with a place here, arrived or on their way
  StepRun run;
  std::size_t ready = 0;  // sequences whose KV is here
  double decoder_free_s = 0, step_s = 0, batch = 0;
  std::vector<double> decode_bps;
  DecodeSim(std::uint32_t n, std::uint32_t block) : blocks(n), scheduler(blocks, block) {}
};

/// Chunks under way, by number.
class Chunks {
 public:
  std::uint32_t take(const Chunk& c) {
    if (free_.empty()) {
      all_.push_back(c);
      return static_cast<std::uint32_t>(all_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    all_[slot] = c;
    return slot;
  }
  [[nodiscard]] Chunk& at(std::uint32_t slot) { return all_[slot]; }
  Chunk give(std::uint32_t slot) {
    free_.push_back(slot);
    return all_[slot];
  }

 private:
  std::vector<Chunk> all_;
  std::vector<std::uint32_t> free_;
};

}  // namespace sluice::sim
