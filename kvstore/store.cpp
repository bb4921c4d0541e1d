#include "kvstore/store.h"

#include <algorithm>

#include "kvstore/tier/disk_tier.h"
#include "kvstore/tier/memory_tier.h"
#include "kvstore/tier/redis_tier.h"

namespace sluice::kvstore {
namespace {

/// Makes the tier of a spec.
struct TierMaker {
  const StoreOptions& options;
  const ObjectKeys& keys;

  ResidentLimits limits(std::uint64_t bytes) const {
    return {bytes, static_cast<std::uint64_t>(options.tenant_share * static_cast<double>(bytes))};
  }
  Result<std::unique_ptr<Tier>> operator()(const MemorySpec& s) const {
    return make_memory_tier(limits(s.bytes), keys);
  }
  Result<std::unique_ptr<Tier>> operator()(const DiskSpec& s) const {
    return open_disk_tier({.root = s.root, .limits = limits(s.bytes)}, keys);
  }
  Result<std::unique_ptr<Tier>> operator()(const RedisSpec& s) const {
    RedisTierOptions redis{.server = s.server};
    redis.server.password = options.redis_password;
    return make_redis_tier(std::move(redis), keys);
  }
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const StoreOptions& options, const ObjectKeys& keys) {
  if (!(options.tenant_share > 0 && options.tenant_share <= 1))
    return fail(Errc::invalid_argument, "a tenant's share of a tier is above 0 and at most 1, not {}",
                options.tenant_share);
  std::vector<std::unique_ptr<Tier>> tiers;
  for (const auto& spec : options.tiers) {
    SLUICE_ASSIGN(auto tier, std::visit(TierMaker{options, keys}, spec));
    tiers.push_back(std::move(tier));
  }
  return std::make_unique<Store>(std::move(tiers), options.lane, keys);
}

Store::Store(std::vector<std::unique_ptr<Tier>> tiers, const LaneOptions& lane, const ObjectKeys& keys) : keys_(keys) {
  for (auto& t : tiers) lanes_.push_back(std::make_unique<TierLane>(std::move(t), lane));
}

void Store::put(const ObjectBytes& object) {
  for (const auto& lane : lanes_) lane->write(object);
}

std::vector<std::size_t> Store::by_speed() const {
  double bytes = 0;
  {
    const std::scoped_lock lock(mutex_);
    bytes = typical_bytes_;
  }
  std::vector<std::pair<double, std::size_t>> lanes;
  for (std::size_t i = 0; i < lanes_.size(); ++i) lanes.emplace_back(lanes_[i]->predict(bytes), i);
  std::ranges::sort(lanes);
  std::vector<std::size_t> order;
  for (const auto& [_, i] : lanes) order.push_back(i);
  return order;
}

Result<StoredKv> Store::get(const ObjectKey& key, Deadline deadline) {
  Error why{Errc::not_found, fmt::format("object {} is not stored", to_hex(key)), {}};
  for (const std::size_t i : by_speed()) {
    auto object = lanes_[i]->read(key, deadline);
    if (object) {
      for (std::size_t before = 0; before < i; ++before) lanes_[before]->write(*object);
      return opened(*object);
    }
    if (object.error().code == Errc::deadline_exceeded) return std::unexpected(std::move(object).error());
    if (object.error().code != Errc::not_found) why = std::move(object).error();
  }
  return std::unexpected(std::move(why));
}

Result<StoredKv> Store::opened(const ObjectBytes& object) {
  constexpr double kNewest = 0.1;
  auto kv = open_object(keys_, object);
  const std::scoped_lock lock(mutex_);
  typical_bytes_ += kNewest * (static_cast<double>(object.bytes().size()) - typical_bytes_);
  if (kv) return std::move(*kv);
  ++unopened_;
  return fail(Errc::data_corrupt, "object {} cannot be opened: {}", to_hex(object.key()), kv.error().message);
}

std::vector<bool> Store::has(std::span<const ObjectKey> keys, Deadline deadline) {
  std::vector<bool> any(keys.size());
  for (const auto& lane : lanes_) {
    const auto there = lane->has(keys, deadline);
    for (std::size_t i = 0; there && i < any.size(); ++i) any[i] = any[i] || (*there)[i];
  }
  return any;
}

Result<> Store::erase(const ObjectKey& key, Deadline deadline) {
  Result<> all;
  for (const auto& lane : lanes_) {
    auto r = lane->erase(key, deadline);
    if (!r && r.error().code != Errc::not_found && all) all = std::move(r);
  }
  return all;
}

std::vector<TierReport> Store::report() const {
  std::vector<TierReport> all;
  for (const auto& lane : lanes_) all.push_back({lane->tier().kind(), lane->state(), lane->tier().counts()});
  return all;
}

std::vector<Result<TierUse>> Store::use(Deadline deadline) {
  std::vector<Result<TierUse>> all;
  for (const auto& lane : lanes_) all.push_back(lane->use(deadline));
  return all;
}

std::uint64_t Store::unopened() const {
  const std::scoped_lock lock(mutex_);
  return unopened_;
}

bool Store::drain(Deadline deadline) {
  return std::ranges::all_of(lanes_, [&](const auto& lane) { return lane->drain(deadline); });
}

}  // namespace sluice::kvstore
