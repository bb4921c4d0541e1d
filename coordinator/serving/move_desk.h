#pragma once
// Who moves where: shows the running legs to the Mover from time to time and has LegMoves do what it says; takes
// operators' orders; has legs placed again whose decode node drains before anything was computed for them.
//
// Threading: the coordinator's io_context thread. Failure: orders fail in words for a person; what the mover wants and
// cannot be done now is asked again the next time.
#include <functional>
#include <nlohmann/json.hpp>

#include "coordinator/policy/mover.h"
#include "coordinator/serving/leg_moves.h"

namespace sluice::coordinator {

class MoveDesk {
 public:
  struct Uses {
    const Clock& clock;
    ClusterView& view;
    Placement& placement;
    LegTable& legs;
    Intake& intake;
    LegPlacer& placer;
    LegMoves& moves;
  };
  using Done = std::function<void(Result<nlohmann::json>)>;
  MoveDesk(const Uses& u, const MoverOptions& o) : use_(u), mover_(o) {}

  /// Now and then, and when a node begins to drain.
  void sweep();
  /// Moves the legs of a client's request (its x-request-id), or the leg with this number, to a node. `done` says what
  /// became of each: {"request_id", "node", "legs": [{"leg", "choice", "from", "moved", "stall_ms" | "why"}]}; an error
  /// when none moved.
  void migrate(const std::string& request, const NodeId& node, Done done);

 private:
  struct Order;
  class Sight;
  void plan(const ClusterSnapshot& c, TimePoint now);
  void place_elsewhere(const ClusterSnapshot& c);
  [[nodiscard]] std::vector<MovableLeg> movable(std::vector<SessionPtr>& whose, TimePoint now) const;
  [[nodiscard]] std::vector<NodeOutlook> outlook(const ClusterSnapshot& c, const std::vector<MovableLeg>& legs) const;
  [[nodiscard]] std::optional<WaitingPrompt> waiting(TimePoint now) const;
  [[nodiscard]] std::vector<SessionPtr> find(const std::string& request) const;

  Uses use_;
  Mover mover_;
  TimePoint next_{};  // plan when nothing drains
};

}  // namespace sluice::coordinator
