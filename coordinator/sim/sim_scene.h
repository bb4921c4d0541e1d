#pragma once
// What the sides of a simulation share: time and what happens next, chance, the requests under way, what the
// coordinator sees of the cluster, and the result. State only; the sides move it (prefill_side, transfer_side,
// decode_side, door). Single-threaded. Times in seconds of the simulation.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <queue>
#include <vector>

#include "coordinator/policy/fast_random.h"
#include "coordinator/sim/cluster_sim.h"

namespace sluice::sim {

/// The policies' clock at a time of the simulation.
inline TimePoint at(double s) { return TimePoint(std::chrono::hours(1)) + from_seconds(s); }

inline constexpr double kMeter = 0.3;  // EWMA weight of what nodes measure of themselves

inline void meter(double& figure, double sample) { figure = figure > 0 ? figure + kMeter * (sample - figure) : sample; }
inline void meter(double& figure, double sample, std::uint32_t times) {
  const double weight = times == 1 ? kMeter : 1 - std::pow(1 - kMeter, times);
  figure = figure > 0 ? figure + weight * (sample - figure) : sample;
}

enum class What : std::uint8_t {
  submit,
  prefill_pass,
  onto_link,
  off_link,
  link_step,
  look,
  arrived,
  decode_run,
  move_turn,
  move_halt,
  move_in,
  drain,
  report_prefill,
  report_decode,
  look_at_roles,
  role_loaded
};

struct Event {
  double at_s;
  std::uint64_t order;
  What what;
  std::uint32_t who;
  bool operator>(const Event& o) const { return at_s != o.at_s ? at_s > o.at_s : order > o.order; }
};

/// A request under way.
struct Active {
  std::uint32_t row = 0;  // in the load
  bool used = false, decodes = false;
  coordinator::Candidate k;
  coordinator::Measured m;
  double decided_s = 0, submitted_s = 0, computed_s = 0, ready_s = 0, first_s = -1, wire_from_s = -1, wire_to_s = 0;
  double link_bytes = 0, link_busy_s = 0;  // of its link's account when it was submitted
  double local_from_s = -1;                // its first chunk on the decode node
  double planned_bps = 0, shipped = 0;     // of the link, as reckoned with; raw bytes handed to the encoder
  std::size_t sends = 0;                   // profile of what is encoded from now on
  std::uint32_t output = 0;
  // Between decode nodes (moves_side).
  std::int32_t target = -1;      // that it moves to; -1: none
  std::uint64_t move_event = 0;  // that halts it; others are outdated
  double moved_s = -1;           // when it began to move last
  std::uint32_t tries = 0;       // drains aside
  bool leaving = false;          // at the end of its step
  bool moved = false;
};

/// Requests under way, by number. References hold until the next take().
class ActiveTable {
 public:
  std::uint32_t take() {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(all_.size()));
      all_.emplace_back();
    }
    const std::uint32_t id = free_.back();
    free_.pop_back();
    ++count_;
    return id;
  }
  void give(std::uint32_t id) {
    all_[id].used = false;
    free_.push_back(id);
    --count_;
  }
  [[nodiscard]] Active& operator[](std::size_t id) { return all_[id]; }
  [[nodiscard]] const Active& operator[](std::size_t id) const { return all_[id]; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  std::vector<Active> all_;
  std::vector<std::uint32_t> free_;
  std::size_t count_ = 0;
};

struct Scene {
  Scene(const ClusterSpec& s, const Load& l) : spec(s), load(l), random(s.seed * 77 + 5) {}

  const ClusterSpec& spec;
  const Load& load;
  coordinator::FastRandom random;
  double now = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  std::uint64_t order = 0;
  ActiveTable active;
  coordinator::ClusterSnapshot view;
  std::vector<double> prefill_rate;  // tokens per second, as prefill nodes measure themselves
  std::vector<double> decode_rate;   // of prompts, as decode nodes do
  std::size_t busy = 0;              // nodes that compute
  SimResult result;

  /// Returns the event's number.
  std::uint64_t push(double at_s, What what, std::size_t who) {
    events.push({at_s, order, what, static_cast<std::uint32_t>(who)});
    return order++;
  }
  double vary(double s, double spread) { return spread > 0 ? s * std::exp(spread * random.normal()) : s; }
  /// What a node says that it measured.
  double told(double measured) { return vary(measured, spec.measurement_spread); }
  /// Nodes that share cores slow each other down.
  [[nodiscard]] double crowding() const {
    return spec.cores == 0 ? 1 : std::max(1.0, static_cast<double>(busy) / spec.cores);
  }
  [[nodiscard]] const SimRequest& asked(const Active& a) const { return load[a.row]; }
};

}  // namespace sluice::sim
