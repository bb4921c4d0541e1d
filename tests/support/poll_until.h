#pragma once
// Waiting for what only looking can tell: another process's state. Within a process wait for the event itself
// (io_thread.h, promises, condition variables).
#include <chrono>
#include <optional>
#include <thread>

namespace sluice::test {

/// Calls `done` until it is true; how long that took, or nullopt after `limit`.
template <class F>
[[nodiscard]] std::optional<std::chrono::milliseconds> poll_until(F done, std::chrono::milliseconds limit) {
  constexpr std::chrono::milliseconds kBetweenLooks{5};
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const bool is = done();
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    if (is) return spent;
    if (spent > limit) return std::nullopt;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace sluice::test
