#include "kvstore/tier/memory_tier.h"

#include <mutex>

namespace sluice::kvstore {
namespace {

class MemoryTier final : public Tier {
 public:
  MemoryTier(const ResidentLimits& limits, const ObjectKeys& keys) : keys_(keys), residents_(limits) {}

  std::string_view kind() const noexcept override { return "memory"; }
  bool immediate() const noexcept override { return true; }
  Result<std::unique_ptr<Put>> begin(const ObjectKey& key, const ObjectFacts& facts, Deadline deadline) override;

  Result<ObjectBytes> get(const ObjectKey& key, Deadline) override {
    const std::scoped_lock lock(mutex_);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return fail(Errc::not_found, "object {} is not in memory", to_hex(key));
    residents_.touch(key);
    return it->second;
  }

  Result<std::vector<bool>> has(std::span<const ObjectKey> keys, Deadline) override {
    const std::scoped_lock lock(mutex_);
    std::vector<bool> there;
    there.reserve(keys.size());
    for (const auto& k : keys) there.push_back(objects_.contains(k));
    return there;
  }

  Result<> erase(const ObjectKey& key, Deadline) override {
    const std::scoped_lock lock(mutex_);
    if (objects_.erase(key) == 0) return fail(Errc::not_found, "object {} is not in memory", to_hex(key));
    residents_.erase(key);
    return {};
  }

  Result<TierUse> use(Deadline) override {
    const std::scoped_lock lock(mutex_);
    return residents_.use();
  }

  TierCounts counts() const override {
    const std::scoped_lock lock(mutex_);
    TierCounts all = residents_.evictions();
    all.refused = refused_;
    return all;
  }

 private:
  class MemoryPut final : public Put {
   public:
    MemoryPut(MemoryTier& tier, const ObjectKey& key, std::uint64_t bytes) : tier_(tier), key_(key), size_(bytes) {
      bytes_.reserve(bytes);
    }
    ~MemoryPut() override {
      if (!done_) tier_.undo(key_);
    }
    Result<> part(std::span<const std::byte> bytes) override {
      if (bytes.size() > size_ - bytes_.size())
        return fail(Errc::invalid_argument, "object {} is longer than the {} bytes announced", to_hex(key_), size_);
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
      return {};
    }
    Result<> commit() override {
      if (done_ || bytes_.size() != size_)
        return fail(Errc::invalid_argument, "{} bytes of object {}, {} were announced", bytes_.size(), to_hex(key_),
                    size_);
      SLUICE_TRY(tier_.keep(key_, std::move(bytes_)));
      done_ = true;
      return {};
    }

   private:
    MemoryTier& tier_;
    ObjectKey key_;
    std::uint64_t size_;
    std::vector<std::byte> bytes_;
    bool done_ = false;
  };

  void undo(const ObjectKey& key) {
    const std::scoped_lock lock(mutex_);
    residents_.erase(key);
  }

  Result<> keep(const ObjectKey& key, std::vector<std::byte> bytes) {
    auto object = check_object(keys_, key, std::move(bytes));
    const std::scoped_lock lock(mutex_);
    if (!object) {
      ++refused_[static_cast<std::size_t>(object.error().why)];
      return fail(Errc::data_corrupt, "object {} was not kept in memory: {}", to_hex(key), object.error().message);
    }
    objects_.emplace(key, std::move(*object));
    residents_.commit(key);
    return {};
  }

  const ObjectKeys& keys_;
  mutable std::mutex mutex_;  // guards all below
  Residents residents_;
  std::unordered_map<ObjectKey, ObjectBytes> objects_;
  std::array<std::uint64_t, kRefusals> refused_{};
};

Result<std::unique_ptr<Put>> MemoryTier::begin(const ObjectKey& key, const ObjectFacts& facts, Deadline) {
  const std::scoped_lock lock(mutex_);
  SLUICE_ASSIGN(const Residents::Room room, residents_.reserve(key, facts));
  for (const auto& v : room.victims) objects_.erase(v);
  if (!room.made)
    return fail(Errc::resource_exhausted, "no room in memory for {} bytes: what is there is being written",
                facts.bytes);
  return std::make_unique<MemoryPut>(*this, key, facts.bytes);
}

}  // namespace

std::unique_ptr<Tier> make_memory_tier(const ResidentLimits& limits, const ObjectKeys& keys) {
  return std::make_unique<MemoryTier>(limits, keys);
}

}  // namespace sluice::kvstore
