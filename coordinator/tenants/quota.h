#pragma once
// What one API key has left of its budgets: requests and tokens per minute, requests at a time. Pure logic: the caller
// says what time it is. A request is charged for its tokens before they are computed, by what it may cost at most
// (prompt and max_tokens), and settled by what it did cost.
//
// Threading: none; its owner sees to one caller at a time, so that counting is exact however many requests come at
// once.
#include <optional>
#include <string>

#include "common/clock.h"
#include "coordinator/tenants/key_file.h"
#include "coordinator/tenants/token_bucket.h"

namespace sluice::coordinator {

/// Which budget is spent.
enum class Spent { requests, tokens, concurrent };
[[nodiscard]] std::string_view name(Spent s) noexcept;

struct QuotaRefusal {
  Spent what = Spent::requests;
  std::uint64_t limit = 0;
  std::uint64_t asked = 0;              // of tokens
  std::optional<Duration> retry_after;  // nothing: no waiting helps
};

class Quota {
 public:
  Quota(const KeyLimits& limits, TimePoint now);
  /// The file says otherwise now. What was used stays used.
  void change(const KeyLimits& limits, TimePoint now);

  /// A request begins, or not. One that began ends in end().
  [[nodiscard]] std::optional<QuotaRefusal> begin(TimePoint now);
  void end();
  /// Tokens that a request may cost.
  [[nodiscard]] std::optional<QuotaRefusal> charge(std::uint64_t tokens, TimePoint now);
  /// Of the charge, `used` was used.
  void settle(std::uint64_t charged, std::uint64_t used, TimePoint now);

  [[nodiscard]] std::uint64_t running() const noexcept { return running_; }
  [[nodiscard]] std::optional<std::uint64_t> tokens_per_minute() const { return limits_.tokens_per_minute; }
  /// As OpenAI's x-ratelimit-* headers say it; none for a budget without a bound.
  [[nodiscard]] HttpHeaders headers(TimePoint now);

 private:
  KeyLimits limits_;
  std::optional<TokenBucket> requests_, tokens_;
  std::uint64_t running_ = 0;
};

/// "6m0s", "1.5s", "20ms".
[[nodiscard]] std::string reset_text(Duration d);
/// 429 rate_limit_exceeded, for a caller of this name.
[[nodiscard]] ApiError rate_limit_error(const QuotaRefusal& r, std::string_view key_id);

}  // namespace sluice::coordinator
