#pragma once
// KV kept over several tiers. Nothing a caller does here waits for a tier longer than its deadline says: putting only
// queues, and a get that is late fails, so that its request computes the KV itself.
//
// A get asks tiers by the time that a read is thought to take (learned, tier_speed.h), the fastest first, and takes the
// first that has the object. What was found is written to the tiers that stand before that one in the list.
//
// Threading: thread-safe. All calls must have come back before the store is destroyed. Each tier has threads of its own
// (tier_lane.h), which end with the store; writes that are queued then are dropped.
// Failure: not_found; deadline_exceeded; unavailable (no tier had it, and some could not be asked); data_corrupt (what
// was found cannot be opened with this store key). A tier that fails is never an error of the others.
#include <memory>

#include "kvstore/tier_lane.h"
#include "kvstore/tier_spec.h"

namespace sluice::kvstore {

struct StoreOptions {
  std::vector<TierSpec> tiers;
  double tenant_share = 1;     // of a tier's bytes: most that one tenant's objects have; above 0, at most 1
  std::string redis_password;  // of all Redis tiers
  LaneOptions lane;
};

struct TierReport {
  std::string_view kind;
  LaneState lane;
  TierCounts tier;
};

class Store {
 public:
  /// Makes the tiers; a disk tier reads its folder. keys: must outlive the store.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const StoreOptions& options, const ObjectKeys& keys);
  Store(std::vector<std::unique_ptr<Tier>> tiers, const LaneOptions& lane, const ObjectKeys& keys);

  /// Written behind, to all tiers.
  void put(const ObjectBytes& object);
  [[nodiscard]] Result<StoredKv> get(const ObjectKey& key, Deadline deadline);
  /// Whether any tier has it, for each key; tiers that cannot be asked have nothing.
  [[nodiscard]] std::vector<bool> has(std::span<const ObjectKey> keys, Deadline deadline);
  /// From all tiers; the first failure that is not not_found.
  [[nodiscard]] Result<> erase(const ObjectKey& key, Deadline deadline);

  /// In the order of the list. Never waits for a tier.
  [[nodiscard]] std::vector<TierReport> report() const;
  /// Of each tier; an error where it cannot be asked.
  [[nodiscard]] std::vector<Result<TierUse>> use(Deadline deadline);
  /// Objects that were whole, and that this store's key did not open.
  [[nodiscard]] std::uint64_t unopened() const;
  /// Waits until all that was put is written or dropped. False: the deadline came first.
  bool drain(Deadline deadline);

 private:
  /// Which lanes to ask, in turn.
  [[nodiscard]] std::vector<std::size_t> by_speed() const;
  [[nodiscard]] Result<StoredKv> opened(const ObjectBytes& object);

  const ObjectKeys& keys_;
  std::vector<std::unique_ptr<TierLane>> lanes_;
  mutable std::mutex mutex_;        // guards what follows
  double typical_bytes_ = 1 << 20;  // of objects read
  std::uint64_t unopened_ = 0;
};

}  // namespace sluice::kvstore
