#pragma once
// Where a progress thread sleeps: one epoll set with the fabric's descriptor, sockets, and an eventfd of our own.
// Threading: wake() from anywhere; the rest from the progress thread.
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace sluice::kv {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~FileDescriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_ = -1;
};

class Wakeup {
 public:
  [[nodiscard]] Result<> open();
  /// Wakes while fd is readable; never reported by sleep().
  [[nodiscard]] Result<> watch_quietly(int fd);
  /// Reports `tag` on every change of fd's readiness (edge-triggered). Closing fd ends the watch.
  [[nodiscard]] Result<> watch(int fd, std::uint64_t tag);

  /// Before the last look for work: from here on wake() makes the next sleep() return at once.
  void announce_sleep() noexcept { asleep_ = true; }
  void cancel_sleep() noexcept { asleep_ = false; }
  /// Waits at most that long (nullopt: for ever) and returns the tags of what changed.
  [[nodiscard]] std::vector<std::uint64_t> sleep(std::optional<Duration> at_most);
  void wake() noexcept;

 private:
  FileDescriptor epoll_, event_;
  std::atomic<bool> asleep_ = false;
};

/// How long to poll before sleeping: grows while work keeps arriving within the limit, shrinks while it does not.
class SpinBudget {
 public:
  explicit SpinBudget(const Clock& clock) : clock_(clock) {}
  void worked() noexcept { idle_since_.reset(); }
  /// True while polling on is worth it.
  [[nodiscard]] bool keep_spinning() noexcept;
  void slept(Duration d) noexcept;

 private:
  const Clock& clock_;
  std::optional<TimePoint> idle_since_;
  Duration budget_ = std::chrono::microseconds(20);
};

}  // namespace sluice::kv
