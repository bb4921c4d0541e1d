#pragma once
// Keeps a flood out of the log: of lines of one kind, one per interval is let through, and the next one says how many
// were held back. What is counted one by one belongs in a metric.
//
//   if (const auto held = gate_.pass(kind, clock_.now())) log::warn("frame refused", {..., {"held_back", *held}});
//
// Pure logic with the time given. Threading: any thread; one mutex.
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "common/clock.h"

namespace sluice {

class LogGate {
 public:
  explicit LogGate(Duration interval = std::chrono::seconds(10)) : interval_(interval) {}

  /// Kinds are few, such as error codes. Nothing: hold this line back; else how many were since the last.
  [[nodiscard]] std::optional<std::uint64_t> pass(int kind, TimePoint now) {
    const std::lock_guard lock(mutex_);
    const auto [it, first] = kinds_.try_emplace(kind);
    Kind& k = it->second;
    if (!first && now - k.last < interval_) {
      ++k.held;
      return std::nullopt;
    }
    k.last = now;
    return std::exchange(k.held, 0);
  }

 private:
  struct Kind {
    TimePoint last{};
    std::uint64_t held = 0;
  };
  const Duration interval_;
  std::mutex mutex_;
  std::map<int, Kind> kinds_;
};

}  // namespace sluice
