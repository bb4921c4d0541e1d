#pragma once
// Fork-join for one caller: splits an index range over fixed workers and the calling thread.
//
// The split is dynamic, so it must never influence results: callers hand out work whose result depends on the
// index alone. Workers spin for some tens of microseconds after a job (the next operation of a forward pass
// usually follows at once), then park. A worker that wakes late finds the job closed and is not waited for.
//
// Threading: parallel_for is called by one thread at a time. Failure: the callable must not throw.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace sluice::engine::cpu {

class ThreadPool {
 public:
  /// `threads` counts the caller; 0 takes every core this process may run on.
  explicit ThreadPool(std::uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Workers including the caller.
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  /// fn(begin, end, worker) over [0, count) in pieces of at most `grain`; returns when all are done.
  template <class F>
  void parallel_for(std::size_t count, std::size_t grain, F&& fn) {
    using Fn = std::remove_reference_t<F>;
    run({count, grain == 0 ? 1 : grain, const_cast<std::remove_const_t<Fn>*>(std::addressof(fn)),
         [](void* f, std::size_t b, std::size_t e, std::uint32_t w) { (*static_cast<Fn*>(f))(b, e, w); }});
  }

 private:
  struct Job {
    std::size_t count = 0, grain = 1;
    void* fn = nullptr;
    void (*call)(void*, std::size_t, std::size_t, std::uint32_t) = nullptr;
  };
  void run(const Job& job);
  void drain(std::uint32_t worker) noexcept;
  void worker_loop(std::uint32_t worker) noexcept;

  Job job_;  // written only while the job is closed and nobody is inside
  alignas(64) std::atomic<std::size_t> next_{0};
  alignas(64) std::atomic<std::uint64_t> state_{0};  // epoch << 32 | open << 31 | workers inside
  std::atomic<std::uint32_t> signal_{0};             // bumped with each job; parked workers wait on it
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace sluice::engine::cpu
