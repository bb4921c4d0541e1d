#pragma once
// Which refusals are worth a log line: of each route and code the first few of a second; of the others, how many.
// Threading: none of its own. Size: one entry per route and code of ours, dropped after a quiet second.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace sluice::coordinator {

class RefusalRate {
 public:
  static constexpr std::uint64_t kPerSecond = 5;
  static constexpr std::chrono::seconds kSecond{1};

  struct LeftOut {
    std::string route;
    std::string code;
    std::uint64_t count = 0;
  };

  /// Whether this one has a line of its own.
  [[nodiscard]] bool admit(const std::string& route, const std::string& code, TimePoint now) {
    auto [it, fresh] = seen_.try_emplace({route, code}, Second{now, 0});
    Second& s = it->second;
    // A second that left some out is over when over() has told of them.
    if (!fresh && now - s.began >= kSecond && s.count <= kPerSecond) s = {now, 0};
    return ++s.count <= kPerSecond;
  }

  /// Of the seconds that are over: what they left out.
  [[nodiscard]] std::vector<LeftOut> over(TimePoint now) {
    std::vector<LeftOut> out;
    std::erase_if(seen_, [&](const auto& entry) {
      const auto& [key, s] = entry;
      if (now - s.began < kSecond) return false;
      if (s.count > kPerSecond) out.push_back({key.first, key.second, s.count - kPerSecond});
      return true;
    });
    return out;
  }
  [[nodiscard]] bool empty() const { return seen_.empty(); }

 private:
  struct Second {
    TimePoint began;
    std::uint64_t count = 0;
  };
  std::map<std::pair<std::string, std::string>, Second> seen_;
};

}  // namespace sluice::coordinator
