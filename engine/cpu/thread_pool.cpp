#include "engine/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>

namespace sluice::engine::cpu {
namespace {

constexpr std::uint64_t kOpen = 1ULL << 31;
constexpr std::uint64_t kInside = kOpen - 1;
constexpr int kSpins = 2000;  // pauses before a worker parks: a few tens of microseconds

std::uint32_t allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1U, std::thread::hardware_concurrency());
}

void pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadPool::ThreadPool(std::uint32_t threads) {
  if (threads == 0) threads = allowed_cores();
  workers_.reserve(threads - 1);
  for (std::uint32_t w = 1; w < threads; ++w) workers_.emplace_back([this, w] { worker_loop(w); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  signal_.fetch_add(1);
  signal_.notify_all();
  for (auto& t : workers_) t.join();
}

void ThreadPool::run(const Job& job) {
  if (job.count == 0) return;
  if (workers_.empty() || job.count <= job.grain) {
    job.call(job.fn, 0, job.count, 0);
    return;
  }
  job_ = job;
  next_.store(0, std::memory_order_relaxed);
  const std::uint64_t epoch = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(epoch << 32 | kOpen);
  signal_.fetch_add(1);
  signal_.notify_all();
  drain(0);
  state_.fetch_and(~kOpen);
  for (int spins = 0; (state_.load(std::memory_order_acquire) & kInside) != 0; ++spins) {
    if (spins < kSpins)
      pause();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::drain(std::uint32_t worker) noexcept {
  for (;;) {
    const std::size_t begin = next_.fetch_add(job_.grain, std::memory_order_relaxed);
    if (begin >= job_.count) return;
    job_.call(job_.fn, begin, std::min(begin + job_.grain, job_.count), worker);
  }
}

void ThreadPool::worker_loop(std::uint32_t worker) noexcept {
  std::uint64_t seen = 0;
  int idle = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::uint32_t signal = signal_.load();
    std::uint64_t s = state_.load();
    const std::uint64_t epoch = s >> 32;
    if (epoch != seen && (s & kOpen) != 0) {
      if (!state_.compare_exchange_weak(s, s + 1)) continue;  // another worker entered, or the job closed
      drain(worker);
      state_.fetch_sub(1, std::memory_order_release);
      seen = epoch;
      idle = 0;
    } else if (++idle < kSpins) {
      pause();
    } else {
      if (!stop_.load()) signal_.wait(signal);
      idle = 0;
    }
  }
}

}  // namespace sluice::engine::cpu
