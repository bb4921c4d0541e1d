#pragma once
// The threads that parse, render and tokenize, so that no request's size delays heartbeats, tokens or decisions.
//
// Threads take jobs of one lane each (prompt_queue.h). Those of the long lane run at a lower priority of the system's:
// a prompt of megabytes takes seconds anyway, and on a full machine the io thread, short prompts and nodes beside it
// should not feel it. Not at the lowest: honest long prompts would starve there (at 10 of 19 a prompt of 0.4 s took 7 s
// beside four compilers). With one thread only, short jobs go first.
//
// A job's body, its JSON and all between are made and freed on the worker; who asked gets token ids or a finished
// answer (prompt_desk.h). Clients take turns over all desks.
//
// Lifecycle: take() until stop(), which lets the jobs that run finish (seconds for a long one) and drops those that
// wait. The destructor stops. Threading: take() and stats() on any thread, stop() on one. Failure: 429
// resource_exhausted with Retry-After when too much waits; work that throws comes to 500.
#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "coordinator/api/prompt_executor.h"
#include "coordinator/api/prompt_queue.h"
#include "coordinator/api/worker_thread.h"

namespace sluice::coordinator {

struct PromptPoolOptions {
  int threads = 0;  // 0: half the cores, 2 to 4
  PromptQueueLimits limits{};
};

/// For metrics; totals since the start. By lane: short, long.
struct PromptPoolStats {
  struct Lane {
    int threads = 0;
    std::size_t waiting = 0;        // jobs (gauge)
    std::size_t waiting_bytes = 0;  // of their bodies (gauge)
    std::size_t running = 0;        // (gauge)
    std::uint64_t done = 0;
    std::uint64_t done_bytes = 0;
    std::uint64_t dropped = 0;  // their clients had gone
    std::uint64_t refused = 0;  // with 429
    double waited_seconds = 0;  // of those that ran, until they did
    double worked_seconds = 0;  // of the threads
  };
  std::array<Lane, 2> lanes{};
};

class PromptPool {
 public:
  explicit PromptPool(PromptPoolOptions options);
  ~PromptPool();
  PromptPool(const PromptPool&) = delete;
  PromptPool& operator=(const PromptPool&) = delete;

  /// Has it worked on, unless its client goes first. Why it cannot be taken.
  [[nodiscard]] std::optional<ApiError> take(PromptQueue::Entry entry);
  void stop();

  [[nodiscard]] PromptPoolStats stats() const;

  /// What --prompt-threads is when nothing is said.
  [[nodiscard]] static int default_threads();

 private:
  using Lanes = std::vector<PromptLane>;  // that a thread serves, in order of preference

  void start(const char* name, int nice, Lanes lanes);
  void work(const Lanes& lanes);
  [[nodiscard]] std::optional<PromptQueue::Entry> next(const Lanes& lanes);
  void run(PromptQueue::Entry entry, PromptLane lane);
  [[nodiscard]] ApiError refuse(PromptLane lane, PromptQueue::Full why);
  [[nodiscard]] PromptPoolStats::Lane& figures(PromptLane lane) { return stats_.lanes[static_cast<std::size_t>(lane)]; }

  mutable std::mutex mutex_;  // guards what follows, up to the threads
  std::array<std::condition_variable, 2> came_;
  PromptQueue queue_;
  PromptPoolStats stats_;
  bool stopping_ = false;
  bool shared_ = false;  // one thread serves both lanes

  std::vector<std::unique_ptr<WorkerThread>> threads_;
};

}  // namespace sluice::coordinator
