#include "coordinator/api/prompt_pool.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <ctime>
#include <exception>
#include <thread>
#include <unordered_map>
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

/// What waits for results, by job. Results that come when it is gone are nobody's.
struct PromptPool::Desk {
  struct Waiting {
    std::shared_ptr<Responder> out;
    Then then;
  };
  std::unordered_map<std::uint64_t, Waiting> waiting;
  bool closed = false;

  void deliver(std::uint64_t id, PromptResult result) {
    auto node = waiting.extract(id);
    if (node.empty() || node.mapped().out->closed()) return;
    node.mapped().then(std::move(result), std::move(node.mapped().out));
  }
};

int PromptPool::default_threads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency() / 2), 2, 4);
}

PromptPool::PromptPool(boost::asio::io_context& io, PromptPoolOptions o)
    : io_(io), desk_(std::make_shared<Desk>()), queue_(o.limits) {
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
  desk_->closed = true;
  for (auto& [id, w] : std::exchange(desk_->waiting, {}))
    w.out->respond(error_response(ApiError::from(Error{Errc::unavailable, "The server is stopping.", {}})));
}

void PromptPool::submit(PromptJob job, std::shared_ptr<Responder> out, Then then) {
  if (desk_->closed)
    return out->respond(error_response(ApiError::from(Error{Errc::unavailable, "The server is stopping.", {}})));
  const auto lane = queue_.lane_of(job);
  const auto id = ++last_;
  auto gone = std::make_shared<std::atomic<bool>>(false);
  desk_->waiting.emplace(id, Desk::Waiting{out, std::move(then)});
  out->on_disconnect([desk = std::weak_ptr(desk_), id, gone](Disconnect) {
    gone->store(true, std::memory_order_relaxed);
    if (const auto d = desk.lock()) d->waiting.erase(id);
  });
  if (gone->load(std::memory_order_relaxed)) return;
  auto full = PromptQueue::Full::no;
  {
    const std::lock_guard lock(mutex_);
    full = queue_.full(job);
    if (full == PromptQueue::Full::no)
      queue_.push({id, std::move(job), std::move(gone), std::chrono::steady_clock::now()});
  }
  if (full == PromptQueue::Full::no) return came_[shared_ ? 0 : static_cast<std::size_t>(lane)].notify_one();
  desk_->waiting.erase(id);
  refuse(lane, full, *out);
}

void PromptPool::refuse(PromptLane lane, PromptQueue::Full why, Responder& out) {
  double wait_s = 1;
  {
    const std::lock_guard lock(mutex_);
    auto& f = figures(lane);
    ++f.refused;
    // As long as what waits would take at the pace so far.
    if (f.done_bytes > 0)
      wait_s = f.worked_seconds / static_cast<double>(f.done_bytes) * static_cast<double>(queue_.bytes()) / f.threads;
  }
  const auto* words = why == PromptQueue::Full::client
                          ? "Too much of yours waits to be read already; wait for answers, or try again later."
                          : "Too many long requests wait to be read already; try again later.";
  out.respond(error_response(
      ApiError::from(Error{Errc::resource_exhausted, words, {}}, from_seconds(std::clamp(wait_s, 1.0, 60.0)))));
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
  boost::asio::post(io_, [desk = std::weak_ptr(desk_), id = entry.id, result = std::move(*result)]() mutable {
    if (const auto d = desk.lock()) d->deliver(id, std::move(result));
  });
}

}  // namespace sluice::coordinator
