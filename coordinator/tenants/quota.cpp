#include "coordinator/tenants/quota.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

void fit(std::optional<TokenBucket>& bucket, const std::optional<std::uint64_t>& per_minute, TimePoint now) {
  if (!per_minute)
    bucket.reset();
  else if (!bucket)
    bucket.emplace(*per_minute, now);
  else
    bucket->set_rate(*per_minute, now);
}

void tell(HttpHeaders& to, const char* what, TokenBucket& bucket, TimePoint now) {
  to.add(fmt::format("x-ratelimit-limit-{}", what), std::to_string(bucket.per_minute()));
  to.add(fmt::format("x-ratelimit-remaining-{}", what), std::to_string(bucket.left(now)));
  to.add(fmt::format("x-ratelimit-reset-{}", what), reset_text(bucket.until_full(now)));
}

}  // namespace

std::string_view name(Spent s) noexcept {
  switch (s) {
    case Spent::requests:
      return "requests";
    case Spent::tokens:
      return "tokens";
    case Spent::concurrent:
      return "concurrent";
  }
  return "requests";
}

Quota::Quota(const KeyLimits& limits, TimePoint now) { change(limits, now); }

void Quota::change(const KeyLimits& limits, TimePoint now) {
  limits_ = limits;
  fit(requests_, limits.requests_per_minute, now);
  fit(tokens_, limits.tokens_per_minute, now);
}

std::optional<QuotaRefusal> Quota::begin(TimePoint now) {
  // A slot comes free when one of the requests ends, which nobody can foretell: soon is a fair guess.
  if (limits_.concurrent && running_ >= *limits_.concurrent)
    return QuotaRefusal{Spent::concurrent, *limits_.concurrent, 1, std::chrono::seconds(1)};
  if (requests_ && !requests_->take(1, now))
    return QuotaRefusal{Spent::requests, requests_->per_minute(), 1, requests_->until(1, now)};
  ++running_;
  return std::nullopt;
}

void Quota::end() { --running_; }

std::optional<QuotaRefusal> Quota::charge(std::uint64_t tokens, TimePoint now) {
  if (!tokens_ || tokens_->take(tokens, now)) return std::nullopt;
  QuotaRefusal r{Spent::tokens, tokens_->per_minute(), tokens, std::nullopt};
  if (tokens <= tokens_->per_minute()) r.retry_after = tokens_->until(tokens, now);
  return r;
}

void Quota::settle(std::uint64_t charged, std::uint64_t used, TimePoint now) {
  if (!tokens_) return;
  if (used <= charged)
    tokens_->give_back(charged - used, now);
  else
    tokens_->owe(used - charged, now);
}

HttpHeaders Quota::headers(TimePoint now) {
  HttpHeaders h;
  if (requests_) tell(h, "requests", *requests_, now);
  if (tokens_) tell(h, "tokens", *tokens_, now);
  return h;
}

std::string reset_text(Duration d) {
  const auto ms = static_cast<std::int64_t>(std::ceil(std::max(millis(d), 0.0)));
  if (ms < 1000) return fmt::format("{}ms", ms);
  const double s = std::ceil(static_cast<double>(ms) / 10) / 100;
  const auto minutes = static_cast<std::int64_t>(s) / 60;
  if (minutes == 0) return fmt::format("{:g}s", s);
  return fmt::format("{}m{:g}s", minutes, s - static_cast<double>(minutes * 60));
}

ApiError rate_limit_error(const QuotaRefusal& r, std::string_view key_id) {
  ApiError e{429, {}, "requests", {}, "rate_limit_exceeded", r.retry_after};
  switch (r.what) {
    case Spent::requests:
      e.message = fmt::format("Rate limit of the API key '{}': {} requests per minute.", key_id, r.limit);
      break;
    case Spent::concurrent:
      e.message = fmt::format("Rate limit of the API key '{}': {} requests at a time.", key_id, r.limit);
      break;
    case Spent::tokens:
      e.type = "tokens";
      e.message =
          fmt::format("Rate limit of the API key '{}': {} tokens per minute; this request may cost {}{}", key_id,
                      r.limit, r.asked, r.retry_after ? "." : ", more than any minute has: ask for fewer max_tokens.");
      break;
  }
  return e;
}

}  // namespace sluice::coordinator
