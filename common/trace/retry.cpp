#include "common/trace/retry.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string>

namespace sluice::trace {

std::optional<Duration> parse_retry_after(std::string_view text, std::chrono::system_clock::time_point now) {
  std::uint32_t s = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), s);
  if (ec == std::errc() && end == text.data() + text.size()) return std::chrono::seconds(s);
  std::tm when{};
  const std::string date(text);
  const char* rest = strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  const auto until = std::chrono::system_clock::from_time_t(timegm(&when));
  return std::max(Duration::zero(), std::chrono::duration_cast<Duration>(until - now));
}

std::optional<Duration> wait_before(unsigned tries, std::optional<Duration> asked, double chance,
                                    const RetryOptions& o) {
  if (tries >= o.most_tries) return std::nullopt;
  if (asked) return std::min(*asked, o.longest);
  const Duration whole = std::min(o.longest, o.first * (1U << std::min(tries - 1, 16U)));
  return from_seconds(seconds(whole) * (0.5 + chance / 2));
}

}  // namespace sluice::trace
