#pragma once
// What crosses between a front thread and the deciding one, as values: what is asked of the backend, and what comes of
// it. A leg has a number of its front thread's; see remote_backend.h. Threading: none; const data that they share (a
// prompt's ids) may be let go on either side.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/api/backend.h"

namespace sluice::coordinator {

/// A leg among those of one front thread.
using FrontLeg = StrongId<struct FrontLegTag, std::uint64_t>;

struct LegStart {
  LegSpec spec;
};
struct LegCancel {
  CancelReason why;
};
struct LegCommand {
  FrontLeg leg;
  std::variant<LegStart, LegCancel> what;
};

struct LegBegun {
  std::string fingerprint;
};
struct LegRated {
  std::size_t first = 0;
  std::vector<RatedToken> tokens;
};
struct LegEnded {
  LegEnd end;
  std::unique_ptr<LegStats> stats;
};
struct LegFailed {
  Error error;
  std::optional<Duration> retry_after;
};
struct LegEvent {
  FrontLeg leg;
  /// TokenEvent: the usual case, without a list's allocation.
  std::variant<TokenEvent, std::vector<TokenEvent>, LegBegun, LegRated, LegEnded, LegFailed> what;
};

/// About what an event holds of memory.
[[nodiscard]] std::size_t bytes_of(const LegEvent& event);

}  // namespace sluice::coordinator
