#pragma once
// A place that keeps objects: memory, disk, Redis. It knows keys and facts, and gives back whole, checked objects
// alone.
//
// Threading: thread-safe. Calls block, at most until their deadline (steady clock) and a little: the store makes them
// on threads of its own. A Put belongs to one thread at a time and must not outlive its tier. Failure: not_found;
// already_exists (it is there, or just being written); resource_exhausted (no room that may be made);
// deadline_exceeded, unavailable (leave the tier alone for a while); data_corrupt (what was there is no such object: it
// was deleted, and counted by why). After any of them nothing half is visible.
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "kvstore/object/object.h"

namespace sluice::kvstore {

using Deadline = TimePoint;

/// An object on its way in. Nobody sees it before commit(); destroyed without, it is undone.
class Put {
 public:
  virtual ~Put() = default;
  /// The next bytes, in order.
  [[nodiscard]] virtual Result<> part(std::span<const std::byte> bytes) = 0;
  /// invalid_argument unless exactly the bytes that were announced came.
  [[nodiscard]] virtual Result<> commit() = 0;
};

struct TierUse {
  std::uint64_t bytes = 0, objects = 0;
  std::uint64_t capacity = 0;                             // bytes; 0: the tier has no limit of its own, or does not say
  std::map<prefix::TenantMark, std::uint64_t> by_tenant;  // bytes; empty where a tier is shared with others
};

/// Since the tier was made.
struct TierCounts {
  std::uint64_t evicted_objects = 0, evicted_bytes = 0;
  std::array<std::uint64_t, kRefusals> refused{};  // by Refusal
};

class Tier {
 public:
  virtual ~Tier() = default;
  /// "memory", "disk", "redis": for metrics and logs.
  [[nodiscard]] virtual std::string_view kind() const noexcept = 0;
  /// Its reads never wait for anything outside this process.
  [[nodiscard]] virtual bool immediate() const noexcept { return false; }
  /// Makes room first. The deadline is the whole put's.
  [[nodiscard]] virtual Result<std::unique_ptr<Put>> begin(const ObjectKey& key, const ObjectFacts& facts,
                                                           Deadline deadline) = 0;
  [[nodiscard]] virtual Result<ObjectBytes> get(const ObjectKey& key, Deadline deadline) = 0;
  /// One answer for each key.
  [[nodiscard]] virtual Result<std::vector<bool>> has(std::span<const ObjectKey> keys, Deadline deadline) = 0;
  /// not_found when it was not there.
  [[nodiscard]] virtual Result<> erase(const ObjectKey& key, Deadline deadline) = 0;
  [[nodiscard]] virtual Result<TierUse> use(Deadline deadline) = 0;
  [[nodiscard]] virtual TierCounts counts() const = 0;
};

/// begin(), part() by pieces, commit().
[[nodiscard]] Result<> put_object(Tier& tier, const ObjectBytes& object, Deadline deadline);

}  // namespace sluice::kvstore
