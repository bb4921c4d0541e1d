#include "kvstore/tier/disk_tier.h"

#include <mutex>

#include "kvstore/tier/object_folder.h"

namespace sluice::kvstore {
namespace {

class DiskTier final : public Tier {
 public:
  DiskTier(const DiskTierOptions& options, const ObjectKeys& keys, ObjectFolder folder)
      : keys_(keys), folder_(std::move(folder)), residents_(options.limits) {}

  /// What the last owner left, as far as there is room for it now.
  Result<> adopt();

  std::string_view kind() const noexcept override { return "disk"; }
  Result<std::unique_ptr<Put>> begin(const ObjectKey& key, const ObjectFacts& facts, Deadline deadline) override;
  Result<ObjectBytes> get(const ObjectKey& key, Deadline deadline) override;

  Result<std::vector<bool>> has(std::span<const ObjectKey> keys, Deadline) override {
    const std::scoped_lock lock(mutex_);
    std::vector<bool> there;
    there.reserve(keys.size());
    for (const auto& k : keys) there.push_back(residents_.find(k) != nullptr);
    return there;
  }

  Result<> erase(const ObjectKey& key, Deadline) override {
    const std::scoped_lock lock(mutex_);
    if (residents_.find(key) == nullptr) return not_here(key);
    residents_.erase(key);
    folder_.remove(key);
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
  class DiskPut final : public Put {
   public:
    DiskPut(DiskTier& tier, const ObjectKey& key, std::uint64_t bytes, Deadline deadline, std::filesystem::path path)
        : tier_(tier), key_(key), left_(bytes), deadline_(deadline), path_(std::move(path)) {}
    ~DiskPut() override {
      if (done_) return;
      if (file_) ObjectFolder::discard(path_);
      tier_.undo(key_);
    }
    Result<> create() {
      SLUICE_ASSIGN(file_, tier_.folder_.create(path_));
      return {};
    }
    Result<> part(std::span<const std::byte> bytes) override {
      if (bytes.size() > left_)
        return fail(Errc::invalid_argument, "object {} is longer than was announced", to_hex(key_));
      SLUICE_TRY(write_all(file_.get(), bytes, deadline_));
      left_ -= bytes.size();
      return {};
    }
    Result<> commit() override {
      if (done_ || left_ != 0)
        return fail(Errc::invalid_argument, "{} bytes of object {} did not come", left_, to_hex(key_));
      mark_used(file_.get());
      SLUICE_TRY(tier_.keep(key_, path_));
      done_ = true;
      return {};
    }

   private:
    DiskTier& tier_;
    ObjectKey key_;
    std::uint64_t left_;
    Deadline deadline_;
    std::filesystem::path path_;
    FileHandle file_;
    bool done_ = false;
  };

  std::unexpected<Error> not_here(const ObjectKey& key) const {
    return fail(Errc::not_found, "object {} is not on disk", to_hex(key));
  }
  void undo(const ObjectKey& key) {
    const std::scoped_lock lock(mutex_);
    residents_.erase(key);
  }
  Result<> keep(const ObjectKey& key, const std::filesystem::path& path) {
    const std::scoped_lock lock(mutex_);
    SLUICE_TRY(folder_.publish(path, key));
    residents_.commit(key);
    return {};
  }
  std::unexpected<Error> refuse(const ObjectKey& key, Refusal why, const std::string& message) {
    const std::scoped_lock lock(mutex_);
    ++refused_[static_cast<std::size_t>(why)];
    if (residents_.find(key) != nullptr) {
      residents_.erase(key);
      folder_.remove(key);
    }
    return fail(Errc::data_corrupt, "object {} on disk was refused and deleted: {}", to_hex(key), message);
  }

  const ObjectKeys& keys_;
  const ObjectFolder folder_;
  mutable std::mutex mutex_;  // guards all below, and which files there are
  Residents residents_;
  std::uint64_t written_ = 0;  // names new files
  std::array<std::uint64_t, kRefusals> refused_{};
};

Result<> DiskTier::adopt() {
  SLUICE_ASSIGN(const ObjectFolder::Scan scan, folder_.scan(keys_));
  refused_ = scan.refused;
  for (const auto& f : scan.found) {
    const auto room = residents_.reserve(f.key, f.facts);
    const bool kept = room && room->made;
    if (kept) residents_.commit(f.key);
    if (!kept) folder_.remove(f.key);  // larger than today's limits
    if (room)
      for (const auto& v : room->victims) folder_.remove(v);
  }
  return {};
}

Result<std::unique_ptr<Put>> DiskTier::begin(const ObjectKey& key, const ObjectFacts& facts, Deadline deadline) {
  std::unique_ptr<DiskPut> put;
  {
    const std::scoped_lock lock(mutex_);
    SLUICE_ASSIGN(const Residents::Room room, residents_.reserve(key, facts));
    for (const auto& v : room.victims) folder_.remove(v);
    if (!room.made)
      return fail(Errc::resource_exhausted, "no room on disk for {} bytes: what is there is being written",
                  facts.bytes);
    put = std::make_unique<DiskPut>(*this, key, facts.bytes, deadline, folder_.new_path(++written_));
  }
  SLUICE_TRY(put->create());
  return put;
}

Result<ObjectBytes> DiskTier::get(const ObjectKey& key, Deadline deadline) {
  FileHandle file;
  std::uint64_t bytes = 0;
  {
    const std::scoped_lock lock(mutex_);
    const ObjectFacts* facts = residents_.find(key);
    if (facts == nullptr) return not_here(key);
    bytes = facts->bytes;
    residents_.touch(key);
    auto opened = folder_.open_object(key);
    if (!opened) {
      // Somebody removed it by hand, or the disk is ill; of the latter others will tell.
      if (opened.error().code == Errc::not_found) residents_.erase(key);
      return std::unexpected(opened.error());
    }
    file = std::move(*opened);
  }
  auto read = read_whole(file.get(), bytes, deadline);
  if (!read && read.error().code == Errc::data_corrupt) return refuse(key, Refusal::length, read.error().message);
  if (!read) return std::unexpected(std::move(read).error());
  mark_used(file.get());
  auto object = check_object(keys_, key, std::move(*read));
  if (!object) return refuse(key, object.error().why, object.error().message);
  return std::move(*object);
}

}  // namespace

Result<std::unique_ptr<Tier>> open_disk_tier(const DiskTierOptions& options, const ObjectKeys& keys) {
  SLUICE_ASSIGN(auto folder, ObjectFolder::open(options.root));
  auto tier = std::make_unique<DiskTier>(options, keys, std::move(folder));
  SLUICE_TRY(tier->adopt());
  return tier;
}

}  // namespace sluice::kvstore
