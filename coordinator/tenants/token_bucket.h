#pragma once
// A budget per minute: it holds a minute's worth at most and fills evenly. What is taken is an estimate; what was too
// much is given back, what was too little is owed. Pure logic: the caller says what time it is, which never goes back.
#include <cstdint>

#include "common/clock.h"

namespace sluice::coordinator {

class TokenBucket {
 public:
  TokenBucket(std::uint64_t per_minute, TimePoint now);
  /// Another budget: what it holds stays, up to what it may hold now.
  void set_rate(std::uint64_t per_minute, TimePoint now);
  [[nodiscard]] std::uint64_t per_minute() const noexcept { return per_minute_; }

  /// Takes all of it or nothing.
  [[nodiscard]] bool take(std::uint64_t n, TimePoint now);
  void give_back(std::uint64_t n, TimePoint now);
  /// More was used than was taken: the bucket may owe.
  void owe(std::uint64_t n, TimePoint now);

  /// Whole units that could be taken now.
  [[nodiscard]] std::uint64_t left(TimePoint now);
  /// Until `n` could be taken, if nobody else took anything; n is at most per_minute().
  [[nodiscard]] Duration until(std::uint64_t n, TimePoint now);
  [[nodiscard]] Duration until_full(TimePoint now) { return until(per_minute_, now); }

 private:
  void fill(TimePoint now);
  std::uint64_t per_minute_;
  double level_;
  TimePoint at_;  // when level_ was right
};

}  // namespace sluice::coordinator
