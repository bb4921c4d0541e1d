#include "coordinator/api/prompt_pool.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <exception>
#include <thread>
#include <utility>

#include "common/log.h"

namespace sluice::coordinator {

namespace {

constexpr int kGivesWay = 5;  // of 19: a quarter of a busy core beside a thread of normal priority

HttpResponse failed(std::string_view why) {
  log::error("a prompt's work failed", {{"what", why}});
  return error_response({500, "The server failed to handle the request.", "server_error", {}, "internal", {}});
}

bool refused(const PromptResult& result) {
  const auto* answer = std::get_if<HttpResponse>(&result);
  return answer != nullptr && answer->status >= 400;
}

/// CPU time: on a full machine the same work takes longer, which is not its client's doing.
Duration used_by_thread() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

PromptResult result_of(PromptJob& job) {
  try {
    return job.work();
  } catch (const std::exception& e) {  // memory: nothing else throws
    return failed(e.what());
  }
}

}  // namespace

int PromptPool::default_threads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency() / 2), 2, 4);
}

PromptPool::PromptPool(PromptPoolOptions o) : queue_(o.limits) {
  const int threads = o.threads > 0 ? o.threads : default_threads();
  shared_ = threads == 1;
  try {
    if (shared_) start("prompts", 0, {PromptLane::brief, PromptLane::lengthy});
    for (int i = 0; i < threads && !shared_; ++i)
      if (i < threads / 2)
        start("prompts-short", 0, {PromptLane::brief});
      else
        start("prompts-long", kGivesWay, {PromptLane::lengthy});
  } catch (...) {
    stop();  // those that started
    throw;
  }
}

void PromptPool::start(const char* name, int nice, Lanes lanes) {
  for (const auto lane : lanes) ++figures(lane).threads;
  threads_.push_back(std::make_unique<WorkerThread>(WorkerThreadOptions{.name = name, .nice = nice},
                                                    [this, lanes = std::move(lanes)] { work(lanes); }));
}

PromptPool::~PromptPool() { stop(); }

void PromptPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
  }
  for (auto& came : came_) came.notify_all();
  threads_.clear();
  while (queue_.pop_any(PromptLane::brief) || queue_.pop_any(PromptLane::lengthy)) continue;
}

std::optional<ApiError> PromptPool::take(PromptQueue::Entry entry) {
  const auto lane = queue_.lane_of(entry.job);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return ApiError::from(Error{Errc::unavailable, "The server is stopping.", {}});
    if (const auto full = queue_.full(entry.job); full != PromptQueue::Full::no) return refuse(lane, full);
    entry.since = std::chrono::steady_clock::now();
    queue_.push(std::move(entry));
  }
  came_[shared_ ? 0 : static_cast<std::size_t>(lane)].notify_one();
  return std::nullopt;
}

/// With the mutex.
ApiError PromptPool::refuse(PromptLane lane, PromptQueue::Full why) {
  auto& f = figures(lane);
  ++f.refused;
  double wait_s = 1;
  // As long as what waits would take at the pace so far.
  if (f.done_bytes > 0)
    wait_s = f.worked_seconds / static_cast<double>(f.done_bytes) * static_cast<double>(queue_.bytes()) / f.threads;
  const auto* words = why == PromptQueue::Full::client
                          ? "Too much of yours waits to be read already; wait for answers, or try again later."
                          : "Too many long requests wait to be read already; try again later.";
  return ApiError::from(Error{Errc::resource_exhausted, words, {}}, from_seconds(std::clamp(wait_s, 1.0, 60.0)));
}

PromptPoolStats PromptPool::stats() const {
  const std::lock_guard lock(mutex_);
  PromptPoolStats s = stats_;
  for (const auto lane : {PromptLane::brief, PromptLane::lengthy}) {
    auto& l = s.lanes[static_cast<std::size_t>(lane)];
    l.waiting = queue_.waiting(lane);
    l.waiting_bytes = queue_.bytes(lane);
  }
  return s;
}

// ---- Workers ----

std::optional<PromptQueue::Entry> PromptPool::next(const Lanes& lanes) {
  std::unique_lock lock(mutex_);
  auto& came = came_[static_cast<std::size_t>(lanes.front())];
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    std::optional<TimePoint> rested;
    for (const auto lane : lanes) {
      if (auto entry = queue_.pop(lane, now)) {
        ++figures(lane).running;
        return entry;
      }
      if (const auto until = queue_.rested(lane)) rested = std::min(rested.value_or(*until), *until);
    }
    if (rested)
      came.wait_until(lock, *rested);
    else
      came.wait(lock);
  }
  return std::nullopt;
}

void PromptPool::work(const Lanes& lanes) {
  while (auto entry = next(lanes)) {
    const auto lane = queue_.lane_of(entry->job);
    run(*std::move(entry), lane);
  }
}

void PromptPool::run(PromptQueue::Entry entry, PromptLane lane) {
  const auto begun = std::chrono::steady_clock::now();
  const bool dropped = entry.gone->load(std::memory_order_relaxed);
  std::optional<PromptResult> result;
  const Duration used = used_by_thread();
  if (!dropped) result = result_of(entry.job);
  entry.job.work = nullptr;  // and with it what the work held, here and not on the io thread
  {
    const std::lock_guard lock(mutex_);
    auto& f = figures(lane);
    --f.running;
    if (result && refused(*result))
      queue_.refused(entry.job.client, lane, used_by_thread() - used, std::chrono::steady_clock::now());
    f.worked_seconds += seconds(std::chrono::steady_clock::now() - begun);
    if (dropped) {
      ++f.dropped;
    } else {
      ++f.done;
      f.done_bytes += entry.job.bytes;
      f.waited_seconds += seconds(begun - entry.since);
    }
  }
  if (!result || entry.gone->load(std::memory_order_relaxed)) return;
  entry.done(std::move(*result));
}

}  // namespace sluice::coordinator
