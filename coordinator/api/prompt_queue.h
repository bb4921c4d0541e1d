#pragma once
// Whose prompt is worked on next. Two lanes, so that no short prompt waits behind a long one; in a lane clients take
// turns, so that no client's hundred hold up another's one; a client's own go in order. What waits is bounded in bytes,
// in all and for each client.
//
// A long job that ended in a refusal is paid for: its client's next long one rests for a multiple of what it cost. So
// prompts that cannot be served, however many and however large, take no more than a small share of one thread. A short
// job is paid for in its lane where it cost what no text of its length does: a few lines of schema can be much work.
//
// Pure logic: no threads; the time is given. Not thread-safe: PromptPool guards it.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/clock.h"
#include "coordinator/api/prompt_executor.h"

namespace sluice::coordinator {

struct PromptQueueLimits {
  std::size_t short_bytes = std::size_t{32} << 10;   // a job up to here is short
  std::size_t total_bytes = std::size_t{512} << 20;  // that may wait
  std::size_t client_bytes = std::size_t{64} << 20;  // of one client
  int refused_cost = 19;                             // times what refused work took, its client rests: 1 part in 20
  Duration longest_rest = std::chrono::seconds(5);
  Duration brief_free = std::chrono::milliseconds(20);  // what a refused short job may cost without a rest
};

enum class PromptLane : std::uint8_t { brief, lengthy };

class PromptQueue {
 public:
  struct Entry {
    std::uint64_t id = 0;  // as its desk has it
    PromptJob job;
    std::shared_ptr<std::atomic<bool>> gone;                // the client is; set by its desk, read by a worker
    TimePoint since;                                        // when it came
    std::move_only_function<void(PromptResult)> done = {};  // called on the worker
  };
  enum class Full { no, client, all };

  explicit PromptQueue(PromptQueueLimits limits) : limits_(limits) {}

  [[nodiscard]] PromptLane lane_of(const PromptJob& job) const noexcept {
    return job.bytes <= limits_.short_bytes ? PromptLane::brief : PromptLane::lengthy;
  }
  /// Whether the job may wait here; one that is not refusable always may.
  [[nodiscard]] Full full(const PromptJob& job) const;
  void push(Entry entry);
  /// The next of that lane whose client does not rest; null when there is none.
  [[nodiscard]] std::optional<Entry> pop(PromptLane lane, TimePoint now);
  /// Any of that lane; null when it is empty.
  [[nodiscard]] std::optional<Entry> pop_any(PromptLane lane) { return pop(lane, TimePoint::max()); }
  /// A job of `client` in that lane took `cost` of a thread and ended in a refusal.
  void refused(const std::string& client, PromptLane lane, Duration cost, TimePoint now);
  /// When the first of those whose clients rest may be taken; null when none waits.
  [[nodiscard]] std::optional<TimePoint> rested(PromptLane lane) const;

  [[nodiscard]] std::size_t waiting(PromptLane lane) const noexcept { return lanes_[index(lane)].count; }
  [[nodiscard]] std::size_t bytes(PromptLane lane) const noexcept { return lanes_[index(lane)].bytes; }
  [[nodiscard]] std::size_t bytes() const noexcept { return lanes_[0].bytes + lanes_[1].bytes; }

 private:
  struct Lane {
    std::unordered_map<std::string, std::deque<Entry>> by_turn;  // a client's, or its answers'; none is empty
    std::deque<std::string> turns;                               // each of them once
    std::unordered_map<std::string, TimePoint> rests;            // until when, by client
    std::size_t count = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] bool rests(const std::string& turn, PromptLane lane, TimePoint now) const;
  [[nodiscard]] static std::size_t index(PromptLane lane) noexcept { return static_cast<std::size_t>(lane); }

  PromptQueueLimits limits_;
  Lane lanes_[2];
  std::unordered_map<std::string, std::size_t> bytes_of_;  // by client, in both lanes; none is 0
};

}  // namespace sluice::coordinator
