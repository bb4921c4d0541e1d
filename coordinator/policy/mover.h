#pragma once
// Which running sequences should move to another decode node (docs/adr/0011). Four reasons, in this order:
//
//   drain   their node takes no requests any more
//   room    a large prompt waits that fits nowhere, but would where a few sequences make way
//   memory  their node is expected to run out of KV memory, or has parked sequences; another one has room to spare
//   slo     their TPOT is predicted to miss its objective here and to meet it there, for long enough to pay the stall
//
// A move that is for nobody's gain does not happen: after it the target must be better off than the source was before,
// by a margin. So two equal nodes never swap. Moves are bounded per sequence, per node at a time and per node and time;
// what a plan moves is counted in the same plan. Drains are bound by the number at a time only: they must end.
//
// Pure logic over values, time given; daemon and simulator run this class. Not thread-safe.
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/room.h"

namespace sluice::coordinator {

/// Why a sequence moves. asked: by an operator.
enum class MoveReason : std::uint8_t { asked, drain, room, memory, slo };
[[nodiscard]] std::string_view name(MoveReason r) noexcept;

/// A sequence that decodes.
struct MovableLeg {
  RequestId id;
  std::size_t node = 0;           // in the snapshot's decodes
  double positions = 0;           // whose KV is there
  double emitted = 0, limit = 0;  // output tokens so far and at most
  double blocks = 0;              // that it holds
  double elapsed_s = 0;           // since its first token
  double tpot_slo_s = 0;
  int priority = 0;         // smaller is more urgent
  bool moving = false;      // already
  std::uint32_t moves = 0;  // so far, tries included
  double rested_s = 0;      // since its last try; since its first token where there was none
};

/// What is expected of a decode node.
struct NodeOutlook {
  bool drains = false;
  double memory_share = 0;   // of its pool, the most that its sequences will hold at a time
  std::uint32_t parked = 0;  // sequences without their blocks
};

/// The first in the queue, which no node has room for.
struct WaitingPrompt {
  double tokens = 0;  // that room is needed for
  double waited_s = 0;
};

struct PlannedMove {
  std::size_t leg = 0;  // index into the legs
  std::size_t target = 0;
  MoveReason reason = MoveReason::drain;
  friend bool operator==(const PlannedMove&, const PlannedMove&) = default;
};

/// What the mover asks of whoever knows the cluster. Called only from plan().
class MoverSight {
 public:
  virtual ~MoverSight() = default;
  /// The leg's bits and form allow that node, and it takes sequences.
  [[nodiscard]] virtual bool may_go(const MovableLeg& leg, std::size_t node) = 0;
  /// A step of the node with `seqs` sequences and `context` tokens.
  [[nodiscard]] virtual double step_s(std::size_t node, double seqs, double context) = 0;
  /// How long a copy of so many positions takes.
  [[nodiscard]] virtual double copy_s(std::size_t from, std::size_t to, double positions) = 0;
};

struct MoverOptions {
  bool rebalance = true;                                   // false: only drains move
  std::uint32_t leg_moves = 4;                             // of a sequence, drains aside
  double leg_rest_s = 5;                                   // between two of them
  std::size_t drain_at_a_time = 16, others_at_a_time = 2;  // off one node
  double per_node_s = 1;  // a node gives or takes at most one sequence (room: one plan) per so long, drains aside
  double lasting_s = 2;   // a node must look bad for so long
  double memory_high = 0.95, memory_low = 0.85;  // share of the pool: more is too much; a target stays below the other
  double slo_margin = 0.9;                       // of the objective, that a target must keep
  double stall_tokens = 2;                       // what a move is reckoned to cost its stream
  double gain = 3;                               // times its cost that it must bring
  std::size_t room_moves = 4;                    // for one waiting prompt
  double room_wait_s = 0.25;                     // that prompt has waited
};

class Mover {
 public:
  explicit Mover(const MoverOptions& o) : options_(o) {}

  /// The moves to begin now.
  [[nodiscard]] std::vector<PlannedMove> plan(const ClusterSnapshot& c, const std::vector<NodeOutlook>& nodes,
                                              const std::vector<MovableLeg>& legs,
                                              const std::optional<WaitingPrompt>& waits, const OutputLengths& lengths,
                                              MoverSight& sight, TimePoint now);

 private:
  struct Plan;
  void drains(Plan& p);
  void make_room(Plan& p, const WaitingPrompt& w);
  void relieve(Plan& p);
  void keep_pace(Plan& p);
  [[nodiscard]] std::optional<std::vector<PlannedMove>> evacuate(const Plan& p, std::size_t node, double blocks) const;
  [[nodiscard]] double gain(const Plan& p, const MovableLeg& l, std::size_t target) const;
  [[nodiscard]] bool may_give(const Plan& p, const MovableLeg& l) const;
  [[nodiscard]] bool rested(const NodeId& node, TimePoint now) const;
  /// Whether the node has been like that for lasting_s.
  [[nodiscard]] bool lasts(std::map<NodeId, TimePoint>& since, const NodeId& node, bool bad, TimePoint now) const;
  void take(Plan& p, const PlannedMove& m);

  MoverOptions options_;
  std::map<NodeId, TimePoint> last_;         // that a node gave or took one
  std::map<NodeId, TimePoint> full_, slow_;  // since when
};

}  // namespace sluice::coordinator
