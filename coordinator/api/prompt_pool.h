#pragma once
// The threads that parse, render and tokenize, so that no request's size delays heartbeats, tokens or decisions.
//
// Threads take jobs of one lane each (prompt_queue.h). Those of the long lane run at a lower priority of the system's:
// a prompt of megabytes takes seconds anyway, and on a full machine the io thread, short prompts and nodes beside it
// should not feel it. Not at the lowest: honest long prompts would starve there (at 10 of 19 a prompt of 0.4 s took 7 s
// beside four compilers). With one thread only, short jobs go first.
//
// A job's body, its JSON and all between are made and freed on the worker; the io thread gets token ids or a finished
// answer. It alone touches Responder and what waits for the result (Desk).
//
// Lifecycle: submit() until stop(), which lets the jobs that run finish (seconds for a long one), drops those that wait
// and answers them with 503. The destructor stops. Threading: all methods but stats() on the io_context's thread.
// Failure: 429 resource_exhausted with Retry-After when too much waits; work that throws is answered with 500.
#include <array>
#include <boost/asio/io_context.hpp>
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

class PromptPool final : public PromptExecutor {
 public:
  PromptPool(boost::asio::io_context& io, PromptPoolOptions options);
  ~PromptPool() override;
  PromptPool(const PromptPool&) = delete;
  PromptPool& operator=(const PromptPool&) = delete;

  void submit(PromptJob job, std::shared_ptr<Responder> out, Then then) override;
  void stop();

  [[nodiscard]] PromptPoolStats stats() const;

  /// What --prompt-threads is when nothing is said.
  [[nodiscard]] static int default_threads();

 private:
  struct Desk;
  using Lanes = std::vector<PromptLane>;  // that a thread serves, in order of preference

  void start(const char* name, int nice, Lanes lanes);
  void work(const Lanes& lanes);
  [[nodiscard]] std::optional<PromptQueue::Entry> next(const Lanes& lanes);
  void run(PromptQueue::Entry entry, PromptLane lane);
  void refuse(PromptLane lane, PromptQueue::Full why, Responder& out);
  [[nodiscard]] PromptPoolStats::Lane& figures(PromptLane lane) { return stats_.lanes[static_cast<std::size_t>(lane)]; }

  boost::asio::io_context& io_;
  const std::shared_ptr<Desk> desk_;  // of the io thread
  std::uint64_t last_ = 0;            // of the io thread

  mutable std::mutex mutex_;  // guards what follows, up to the threads
  std::array<std::condition_variable, 2> came_;
  PromptQueue queue_;
  PromptPoolStats stats_;
  bool stopping_ = false;
  bool shared_ = false;  // one thread serves both lanes

  std::vector<std::unique_ptr<WorkerThread>> threads_;
};

}  // namespace sluice::coordinator
