#pragma once
// A leg's move between decode nodes, as far as it has come (docs/adr/0011). Plain state; LegMoves'.
//
//   reserving -> copying -> handing_over -> (the target has it)
//       |____________|____________|_______-> (it stays)
//
// reserving: the target is asked for room. copying: the source sends the KV and decodes on until it halts.
// handing_over: the target has every token; its first one makes it the leg's node. Until then the source has all that
// is needed to go on.
#include <functional>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "common/result.h"
#include "coordinator/policy/mover.h"

namespace sluice::coordinator {

enum class MoveStep { reserving, copying, handing_over };

/// What became of a move.
enum class MoveOutcome {
  moved,
  ended,          // the answer ended, or its client went, before
  no_room,        // the target did not take it
  too_late,       // the source was beyond the stop, twice
  source_failed,  // or was lost
  target_failed,  // or was lost
  timed_out,
};
[[nodiscard]] std::string_view name(MoveOutcome o) noexcept;

/// When the coordinator heard what a target waits for.
struct HandoverTimes {
  TimePoint halted{};   // the source has made its last token
  TimePoint arrived{};  // the target has all of the KV
};

/// One that is under way.
struct Moving {
  MoveStep step = MoveStep::reserving;
  MoveReason reason = MoveReason::asked;
  NodeId target;
  std::uint32_t attempt = 0;  // under which the target has it
  DecodePlace place;          // that it has there; LegAccount's
  std::uint32_t stop = 0;
  std::string profile;
  double wire_bytes = 0;  // of the copy, as expected
  std::size_t told = 0;   // output tokens that the reserve call had
  bool again = false;     // the first stop came too late
  bool accepted = false;  // the source answered that it goes there
  bool arrived = false;   // the target has all of the KV
  TimePoint began{}, deadline{};
  HandoverTimes heard;
  std::optional<double> last_block_s;  // as MoveRecord has it
  std::function<void(Result<>)> done;  // who waits for it
};

/// What a stream waited for between its source's last token and its target's first one. Seconds, as the coordinator
/// heard of it; together the time between the two tokens.
struct StallParts {
  double halt_s = 0;   // that the source has halted
  double kv_s = 0;     // from then on: that the target has all of the KV
  double first_s = 0;  // from then on: the target's first token; two messages, its step, and a pass that may be running
};

/// One that is over: it decodes on another node.
struct MoveRecord {
  NodeId from, to;
  MoveReason reason = MoveReason::asked;
  std::uint32_t source_attempt = 0;  // a report of the copy may be on its way
  double stall_s = 0;                // between two tokens, beyond a token's time
  StallParts parts;
  std::optional<double> last_block_s;  // from the halt until the source knew that the target has all; as it says
  HandoverTimes heard;
  double wall_s = 0;       // from its start until the target's first token
  std::size_t tokens = 0;  // output tokens of the nodes before
};

/// Of all attempts of a leg.
struct MoveHistory {
  std::optional<Moving> now;
  std::vector<MoveRecord> over;
  std::uint32_t tries = 0;  // drains aside
  TimePoint last_try{};
  bool first_awaited = false;  // the last record's stall is not known yet
};

}  // namespace sluice::coordinator
