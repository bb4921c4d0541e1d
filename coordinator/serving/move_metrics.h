#pragma once
// Moves of legs, counted. Threading: as Metrics.
#include "common/metrics.h"
#include "coordinator/serving/session.h"

namespace sluice::coordinator {

class MoveMetrics {
 public:
  explicit MoveMetrics(Metrics& m)
      : moves_(m.counters("sluice_moves_total", "Moves of legs between decode nodes, by reason and outcome.")),
        stall_(m.histogram("sluice_move_stall_seconds",
                           "What a move added to the time between two tokens of its stream.", tpot_buckets())),
        wall_(m.histogram("sluice_move_seconds", "From a move's start until the target's first token.",
                          request_buckets())) {}
  void on_end(MoveReason why, MoveOutcome how) const {
    moves_.with({{"reason", std::string(name(why))}, {"outcome", std::string(name(how))}}).add();
  }
  void on_first_token(const Session& s, const MoveRecord& r) const {
    stall_.observe(r.stall_s, s.exemplar());
    wall_.observe(r.wall_s, s.exemplar());
  }

 private:
  Counters moves_;
  Histogram stall_, wall_;
};

}  // namespace sluice::coordinator
