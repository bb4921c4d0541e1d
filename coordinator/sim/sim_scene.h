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
#include "coordinator/policy/prefix_index.h"
#include "coordinator/policy/room.h"
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
  copied_out,
  copied_in,
  no_seat,
  move_turn,
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
  // Output tokens at most, as the coordinator takes them; and where it ends, which only the decode node finds out.
  std::uint32_t limit = 0, ends = 0;
  std::vector<prefix::PrefixName> names;  // of its prompt's blocks, as far as its prefill node computes it
  std::uint32_t had = 0;                  // positions whose KV was there
  coordinator::DecodePlace place;         // on its decode node, in the coordinator's account
  bool runs = false;                      // in the steps under way
  bool recomputes = false;                // when it returns; else its KV is copied in
  double parked_s = -1;                   // since when it has been without its blocks
  // Between decode nodes (moves_side).
  std::int32_t target = -1;  // that it moves to; -1: none
  coordinator::DecodePlace on_target;
  std::uint32_t stop = UINT32_MAX;  // output tokens with which it leaves for its target
  double copied_s = 0;              // when what it had is there
  double moved_s = -1;              // when it began to move last
  std::uint32_t tries = 0;          // drains aside
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

/// A count's mean over a part of the time.
class MeanLevel {
 public:
  MeanLevel(double from_s, double to_s) : from_(from_s), to_(to_s), last_(from_s) {}
  void add(double now, double by) {
    settle(now);
    level_ += by;
  }
  [[nodiscard]] double mean(double now) {
    settle(now);
    return last_ > from_ ? area_ / (last_ - from_) : level_;
  }

 private:
  void settle(double now) {
    const double at = std::clamp(now, last_, std::max(last_, to_));
    area_ += level_ * (at - last_);
    last_ = at;
  }
  double from_, to_, last_;
  double level_ = 0, area_ = 0;
};

struct Scene {
  Scene(const ClusterSpec& s, const Load& l)
      : spec(s),
        load(l),
        random(s.seed * 77 + 5),
        decoding(l.empty() ? 0 : l[l.size() / 10].at_s, l.empty() ? 0 : l.back().at_s) {}

  const ClusterSpec& spec;
  const Load& load;
  coordinator::FastRandom random;
  double now = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  std::uint64_t order = 0;
  ActiveTable active;
  coordinator::ClusterSnapshot view;
  coordinator::PrefixIndex prefixes;  // what prefill nodes have, as they told last
  std::vector<double> prefill_rate;   // tokens per second, as prefill nodes measure themselves
  std::vector<double> decode_rate;    // of prompts, as decode nodes do
  std::size_t busy = 0;               // nodes that compute
  MeanLevel decoding;                 // sequences that have blocks and KV on a decode node
  std::uint32_t prefill_blocks = 0;   // of all prefill nodes
  std::uint32_t largest_context = 0;  // tokens that the largest decode node holds
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
  /// What a coordinator knows of how long its output may become. Who sets no limit gets what the largest node can hold.
  [[nodiscard]] std::uint32_t limit_of(const SimRequest& q) const {
    if (q.max_tokens != kNoLimit) return q.max_tokens > 0 ? q.max_tokens : q.output_tokens;
    const std::uint32_t most = std::min(spec.context_tokens, largest_context);
    return most > q.prompt_tokens ? most - q.prompt_tokens : 1;
  }
};

}  // namespace sluice::sim
