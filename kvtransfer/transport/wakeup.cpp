#include "kvtransfer/transport/wakeup.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::kv {
namespace {

constexpr Duration kMinSpin = std::chrono::microseconds(5);
constexpr Duration kMaxSpin = std::chrono::microseconds(80);

constexpr std::uint64_t kQuiet = ~1ULL, kWoken = ~0ULL;  // tags of our own

Result<> add(int epoll, int fd, std::uint32_t events, std::uint64_t tag) {
  epoll_event e{};
  e.events = events;
  e.data.u64 = tag;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0) return {};
  return fail(Errc::internal, "waiting on a descriptor: {}", std::strerror(errno));
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<> Wakeup::open() {
  epoll_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  event_ = FileDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return add(epoll_.get(), event_.get(), EPOLLIN, kWoken);
}

Result<> Wakeup::watch_quietly(int fd) { return add(epoll_.get(), fd, EPOLLIN, kQuiet); }

Result<> Wakeup::watch(int fd, std::uint64_t tag) { return add(epoll_.get(), fd, EPOLLIN | EPOLLOUT | EPOLLET, tag); }

std::vector<std::uint64_t> Wakeup::sleep(std::optional<Duration> at_most) {
  int ms = -1;
  if (at_most)
    ms = static_cast<int>(std::clamp(std::chrono::ceil<std::chrono::milliseconds>(*at_most).count(), 0L, 60000L));
  std::array<epoll_event, 16> events{};
  const int n = epoll_wait(epoll_.get(), events.data(), events.size(), ms);
  asleep_ = false;
  std::vector<std::uint64_t> tags;
  for (int i = 0; i < n; ++i) {
    std::uint64_t count = 0;
    if (events[i].data.u64 == kWoken && ::read(event_.get(), &count, sizeof count) < 0) continue;  // taken already
    if (events[i].data.u64 < kQuiet) tags.push_back(events[i].data.u64);
  }
  return tags;
}

void Wakeup::wake() noexcept {
  if (!asleep_.exchange(false)) return;
  const std::uint64_t one = 1;
  if (::write(event_.get(), &one, sizeof one) < 0) return;  // the counter is full: it is readable anyway
}

bool SpinBudget::keep_spinning() noexcept {
  const auto now = clock_.now();
  if (!idle_since_) idle_since_ = now;
  return now - *idle_since_ < budget_;
}

void SpinBudget::slept(Duration d) noexcept {
  budget_ = d < kMaxSpin ? std::min(budget_ * 2, kMaxSpin) : std::max(budget_ / 2, kMinSpin);
  idle_since_.reset();
}

}  // namespace sluice::kv
