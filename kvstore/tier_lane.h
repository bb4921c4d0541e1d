#pragma once
// One tier of a store and the threads that wait for it, so that a slow one delays nobody else: a thread writes behind,
// through a queue bounded in bytes that drops what does not fit; others read, for callers who wait to their deadline
// and no longer.
//
//   write() -> queue -> writer thread -> Tier::begin, part, commit
//   read()  -> queue -> reader thread -> Tier::get        (an immediate tier: on the caller's thread)
//
// A caller that left at its deadline is forgotten: what the reader gives then is thrown away. Bytes are shared and
// immutable, so nobody frees them under another. A tier that fails is left alone for a while (tier_pause.h): its reads
// fail with unavailable at once, its writes are dropped. Reads do so too while all readers are at calls that did not
// end at their deadline (a disk that hangs), so that not everybody finds that out anew.
//
// Threading: thread-safe. The destructor ends the threads, after what they are at; writes still queued are dropped.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "kvstore/tier/tier.h"
#include "kvstore/tier_pause.h"
#include "kvstore/tier_speed.h"

namespace sluice::kvstore {

struct LaneOptions {
  std::uint64_t queue_bytes = std::uint64_t{256} << 20U;  // that wait to be written, the one being written among them
  std::size_t queued_calls = 256;                         // that wait for a reader
  unsigned readers = 2;
  Duration write_limit = std::chrono::seconds(5);         // of one object
  Duration first_pause = std::chrono::milliseconds(100);  // of a tier that fails (tier_pause.h)
};

/// Since the lane was made.
struct LaneCounts {
  std::uint64_t hits = 0, misses = 0, failures = 0;  // reads
  std::uint64_t read_bytes = 0;
  double read_seconds = 0;  // of hits
  std::uint64_t written = 0, written_bytes = 0, failed_writes = 0;
  std::uint64_t dropped_full = 0, dropped_paused = 0, dropped_end = 0;  // writes
};

struct LaneState {
  LaneCounts counts;
  std::uint64_t queued_bytes = 0;
  bool paused = false;
  double latency_s = 0, bytes_per_s = 0;  // learned
};

class TierLane {
 public:
  TierLane(std::unique_ptr<Tier> tier, const LaneOptions& options);
  ~TierLane();
  TierLane(const TierLane&) = delete;
  TierLane& operator=(const TierLane&) = delete;

  [[nodiscard]] const Tier& tier() const noexcept { return *tier_; }
  /// Queues; or drops, and counts that.
  void write(ObjectBytes object);
  /// As the tier's calls; besides: unavailable while the tier is left alone, resource_exhausted when too many wait.
  [[nodiscard]] Result<ObjectBytes> read(const ObjectKey& key, Deadline deadline);
  [[nodiscard]] Result<std::vector<bool>> has(std::span<const ObjectKey> keys, Deadline deadline);
  [[nodiscard]] Result<> erase(const ObjectKey& key, Deadline deadline);
  [[nodiscard]] Result<TierUse> use(Deadline deadline);

  /// Seconds that a read is thought to take.
  [[nodiscard]] double predict(double bytes) const;
  [[nodiscard]] LaneState state() const;
  /// False: writes were still queued or under way at the deadline.
  bool drain(Deadline deadline);

 private:
  using Job = std::function<void()>;
  /// Runs fn(tier) on a reader, and waits for it.
  template <class T, class F>
  Result<T> on_reader(F fn, Deadline deadline);
  void write_loop();
  void read_loop();
  void write_one(const ObjectBytes& object);
  /// Is the tier left alone? Under mutex_.
  [[nodiscard]] bool closed() const;
  /// What a call tells of the tier's health.
  void settle(std::optional<Errc> failure);

  const std::unique_ptr<Tier> tier_;
  const LaneOptions options_;
  mutable std::mutex mutex_;  // guards all below but the threads
  std::condition_variable writes_changed_, reads_changed_;
  std::deque<ObjectBytes> writes_;
  std::deque<Job> reads_;
  std::uint64_t queued_bytes_ = 0;
  unsigned overdue_ = 0;  // readers at calls whose callers have left
  TierPause pause_;
  TierSpeed speed_;
  LaneCounts counts_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace sluice::kvstore
