#pragma once
// Which objects a tier of our own holds, and which go first when room is needed. Pure logic: no bytes, no IO.
//
// Leaves go first: an object goes before the one it continues, so that what stays can be reached from its first block.
// Among leaves, the least recently used. A tenant that is over its quota makes room of its own objects. An object that
// is being written (reserved) is never a victim.
//
// Threading: one thread at a time; the tier's mutex. Failure: see each function.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/result.h"
#include "kvstore/tier/tier.h"

namespace sluice::kvstore {

struct ResidentLimits {
  std::uint64_t bytes = 0;
  std::uint64_t tenant_bytes = 0;  // most of one tenant
};

class Residents {
 public:
  explicit Residents(const ResidentLimits& limits) : limits_(limits) {}

  /// Those that must go, gone here already: the caller deletes their bytes, also when `made` is false.
  struct Room {
    bool made = false;
    std::vector<ObjectKey> victims;
  };
  /// Takes room for an object that is to be written. already_exists; resource_exhausted when it is larger than a limit.
  [[nodiscard]] Result<Room> reserve(const ObjectKey& key, const ObjectFacts& facts);
  /// A reserved object is there.
  void commit(const ObjectKey& key);
  /// Of one that is there, or reserved. False: neither.
  bool erase(const ObjectKey& key);
  /// It is the most recently used now.
  void touch(const ObjectKey& key);
  /// Of one that is there; null for one that is only reserved. Valid until the next change.
  [[nodiscard]] const ObjectFacts* find(const ObjectKey& key) const;
  [[nodiscard]] TierUse use() const;
  [[nodiscard]] const TierCounts& evictions() const noexcept { return counts_; }

 private:
  /// Objects of one prefix and form, of all layers; and how many continue them.
  struct Place {
    std::set<ObjectKey> objects;
    std::size_t continued = 0;
  };
  using PlaceId = std::pair<prefix::PrefixName, prefix::PrefixForm>;
  struct Resident {
    ObjectFacts facts;
    std::uint64_t used = 0;  // later uses have higher numbers
    bool there = false;
  };
  /// By last use.
  using Leaves = std::set<std::pair<std::uint64_t, ObjectKey>>;
  using Entry = std::pair<const ObjectKey, Resident>;

  [[nodiscard]] std::optional<ObjectKey> victim(const prefix::TenantMark* of) const;
  [[nodiscard]] std::optional<ObjectKey> oldest(const prefix::TenantMark* of) const;
  bool evict_one(const prefix::TenantMark* of, std::vector<ObjectKey>& victims);
  void add_leaf(const Entry& e);
  void drop_leaf(const Entry& e);
  /// Calls fn on each object of a place that is there.
  template <class F>
  void each_there(const Place& place, F&& fn) const;
  void insert(const ObjectKey& key, const ObjectFacts& facts);

  ResidentLimits limits_;
  std::unordered_map<ObjectKey, Resident> all_;
  std::map<PlaceId, Place> places_;
  Leaves leaves_;
  std::map<prefix::TenantMark, Leaves> leaves_of_;
  std::map<prefix::TenantMark, std::uint64_t> bytes_of_;
  std::uint64_t bytes_ = 0, uses_ = 0;
  TierCounts counts_;
};

}  // namespace sluice::kvstore
