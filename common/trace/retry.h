#pragma once
// Whether and when spans that a receiver did not take are sent again, as the OTLP specification has it. Pure.
#include <chrono>
#include <optional>
#include <string_view>

#include "common/clock.h"

namespace sluice::trace {

struct RetryOptions {
  unsigned most_tries = 6;
  Duration first = std::chrono::milliseconds(500);
  Duration longest = std::chrono::seconds(15);  // of our own waits, and of a Retry-After
};

/// A receiver that is busy, away for a while, or behind a gateway that says so. Every other refusal is for good.
[[nodiscard]] constexpr bool worth_a_retry(int status) noexcept {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

/// The wait that a Retry-After asks for: seconds, or a date. Nothing: it says neither.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view text,
                                                        std::chrono::system_clock::time_point now);

/// Before the next try, after `tries` that failed; nothing: enough. `chance` in [0, 1) spreads those who wait alike.
[[nodiscard]] std::optional<Duration> wait_before(unsigned tries, std::optional<Duration> asked, double chance,
                                                  const RetryOptions& o);

}  // namespace sluice::trace
