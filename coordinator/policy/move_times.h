#pragma once
// How long the copy of a moving sequence takes between two decode nodes, and from that where its source should stop:
// far enough ahead that the copy of what is there is done by then, so that its stream waits only for the last block.
//
// Learned: bytes per second of each pair of nodes, from copies that ended, and what a move takes before its first byte
// leaves. Until a pair has a copy of its own it is as fast as what is known of the target's links.
// Pure logic, time given; not thread-safe.
#include <cstdint>
#include <map>
#include <utility>

#include "coordinator/policy/estimate.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

/// A copy that has ended well.
struct CopyMeasured {
  double wire_bytes = 0;
  double wall_s = 0;     // all of it
  double exposed_s = 0;  // after the source had halted
  double step_s = 0;     // a token, at that time
};

/// A sequence for which a stop is wanted.
struct StopAsk {
  std::uint32_t positions = 0;  // computed now
  double copy_s = 0;
  double step_s = 0;       // of its source; 0: not known
  std::uint32_t last = 0;  // the last position at which a stop leaves something to generate
  bool again = false;      // the sequence was faster than that the last time
};

class MoveTimes {
 public:
  using Pair = std::pair<NodeId, NodeId>;  // from, to
  static constexpr double kDefaultSetupS = 0.004;
  static constexpr double kMargin = 1.25;  // times what is expected
  static constexpr std::uint32_t kSlackTokens = 2;

  /// Seconds for so many wire bytes. told_bps: what is known of the target's links; 0: nothing.
  [[nodiscard]] double copy_s(const Pair& p, double wire_bytes, double told_bps, TimePoint now);
  /// Before a copy's first byte leaves: room, ticket, the call.
  [[nodiscard]] double setup_s() const noexcept { return setup_s_; }
  void observe_setup(double s) noexcept { setup_s_ += 0.2 * (s - setup_s_); }
  void observe(const Pair& p, const CopyMeasured& m, TimePoint now);
  void forget(const NodeId& node);
  /// Where the source is to stop; 0: the sequence would have ended by then.
  [[nodiscard]] std::uint32_t stop(const StopAsk& a) const;

 private:
  std::map<Pair, Estimate> speeds_;
  double setup_s_ = kDefaultSetupS;
};

}  // namespace sluice::coordinator
