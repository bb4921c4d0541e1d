#pragma once
// What the scheduler knows of a sequence: what it was told (SequenceSpec), what of it is in a pass (Work), and where it
// stands. For the scheduler and its parts; others see SequenceSpec, Work and Scheduler::View.
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "engine/policy/block_allocator.h"

namespace sluice::engine {

struct SequenceSpec {
  RequestId id{};
  std::vector<TokenId> tokens{};           // the prompt, and after a resume what was generated before
  std::uint32_t computed = 0;              // positions whose KV is in the pool once the sequence is ready
  std::uint32_t max_total = 0;             // positions it may ever hold; at most what the whole pool holds
  std::optional<std::uint32_t> fill_to{};  // compute the KV of this many positions and stop; no sampling
  std::int32_t priority = 0;               // lower goes first
  TimePoint arrival{};
  bool ready = true;  // false: KV is on its way, nothing runs before mark_ready()
  // Its first blocks, which others hold too: their positions are among `computed`, so they are only read. A reference
  // each goes to the sequence when it is admitted.
  std::vector<BlockHandle> shared{};
  bool grows = false;  // has blocks for the tokens it comes with, and takes more as they come; false: for max_total
};

/// Rows [first, first + count) of one sequence in one forward pass.
struct Work {
  RequestId id;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  bool wants_logits = false;  // the last row's logits are sampled
  friend bool operator==(const Work&, const Work&) = default;
};

/// Where a sequence's KV is. here -> leaving -> parked -> returning -> here; it may end in each.
enum class Place : std::uint8_t {
  here,       // in its blocks, or on its way into them
  leaving,    // in blocks that whoever took the Eviction copies out
  parked,     // it has no blocks
  returning,  // it has blocks again, and its KV is copied in
};

struct ScheduledSequence {
  SequenceSpec spec;
  std::vector<BlockHandle> blocks;
  std::optional<Work> in_flight;
  std::uint64_t admitted = 0;  // order of admission, the last tie-break
  // Plan it was last part of, or in which it became runnable or one of its priority was served as overdue.
  std::uint64_t last_plan = 0;
  std::uint32_t preemptions = 0;
  std::uint64_t eviction = 0;  // number of the last one
  Place place = Place::here;
  bool planned_before = false;
  bool ending = false;
  bool pinned = false;   // is not parked
  bool starved = false;  // the plan being made has no block for its next row

  [[nodiscard]] std::uint32_t goal() const noexcept {
    return spec.fill_to ? *spec.fill_to : static_cast<std::uint32_t>(spec.tokens.size());
  }
  [[nodiscard]] std::uint32_t pending() const noexcept { return goal() - spec.computed; }
  [[nodiscard]] bool ready() const noexcept { return spec.ready && place == Place::here; }
  [[nodiscard]] bool runnable() const noexcept { return ready() && !ending && !in_flight && !starved && pending() > 0; }
  [[nodiscard]] bool is_decode() const noexcept { return !spec.fill_to && pending() == 1; }
  /// Smaller is more urgent. It never changes, so that of two sequences always the same one gives way.
  [[nodiscard]] auto urgency() const noexcept { return std::tuple(spec.priority, spec.arrival, admitted); }
};

}  // namespace sluice::engine
