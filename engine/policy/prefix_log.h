#pragma once
// What came into a prefix cache and what went, in order, for those who keep a copy of its names: a coordinator's index,
// a router. Changes have numbers from 1 on. The log keeps the latest ones; whoever is further behind starts anew from
// all names.
//
// Threading: none; the cache's owner serialises calls.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/prefix/name.h"

namespace sluice::engine {

/// What is to be done to a copy of a cache's names.
struct PrefixChanges {
  bool anew = false;  // forget all names first
  std::vector<prefix::PrefixName> stored, removed;
  std::uint64_t next = 1;  // the first change that is not in here
};

class PrefixLog {
 public:
  static constexpr std::size_t kKept = std::size_t{1} << 16U;

  void stored(const prefix::PrefixName& name) { add(name, true); }
  void removed(const prefix::PrefixName& name) { add(name, false); }
  /// What changes from `from` on come to: of each name the last. Nothing when they are not all kept, or do not exist.
  [[nodiscard]] std::optional<PrefixChanges> since(std::uint64_t from) const {
    if (from < next() - log_.size() || from > next()) return std::nullopt;
    std::unordered_map<prefix::PrefixName, bool> last;
    PrefixChanges out{.next = next()};
    for (auto e = log_.rbegin(); e != log_.rbegin() + static_cast<std::ptrdiff_t>(next() - from); ++e)
      if (last.emplace(e->name, e->stored).second) (e->stored ? out.stored : out.removed).push_back(e->name);
    std::ranges::reverse(out.stored);  // a block after the one it continues
    return out;
  }
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

 private:
  struct Change {
    prefix::PrefixName name;
    bool stored = false;
  };
  void add(const prefix::PrefixName& name, bool stored) {
    log_.push_back({name, stored});
    ++next_;
    if (log_.size() > kKept) log_.pop_front();
  }

  std::deque<Change> log_;
  std::uint64_t next_ = 1;
};

}  // namespace sluice::engine
