#pragma once
// A folder of objects, a file each, that one process owns: <root>/objects/<2 hex>/<32 hex>, and <root>/new/<n> for
// those that are being written. A file appears in objects/ by one rename, when it is whole. Nothing is synced: after a
// kill the system still writes what it was given; after a loss of power a file may hold anything, and its digest tells.
//
// Threading: const, thread-safe; who renames and removes the same key at the same time must order that himself.
// Failure: unavailable (the system's words), resource_exhausted (disk or quota full), deadline_exceeded, not_found,
// data_corrupt (a file of another size than asked for).
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "kvstore/object/object.h"

namespace sluice::kvstore {

class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) noexcept : fd_(fd) {}
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

class ObjectFolder {
 public:
  /// Makes what is missing, takes the lock, and removes what was being written when the last owner ended.
  [[nodiscard]] static Result<ObjectFolder> open(const std::filesystem::path& root);

  struct Found {
    ObjectKey key;
    ObjectFacts facts;
    std::pair<std::int64_t, std::int64_t> used;  // its time of modification, s and ns: when it was last used
  };
  struct Scan {
    std::vector<Found> found;                        // the least recently used first
    std::array<std::uint64_t, kRefusals> refused{};  // files that are no objects, removed
  };
  /// Reads the head of every file. Whether content is whole only a read tells. Objects of another cluster or store key,
  /// or under a name that is not theirs, nobody could ever ask for: they are refused by their address.
  [[nodiscard]] Result<Scan> scan(const ObjectKeys& keys) const;

  /// A new file in new/, and the path that names it.
  [[nodiscard]] Result<FileHandle> create(const std::filesystem::path& path) const;
  [[nodiscard]] std::filesystem::path new_path(std::uint64_t number) const;
  [[nodiscard]] Result<> publish(const std::filesystem::path& from, const ObjectKey& key) const;
  [[nodiscard]] Result<FileHandle> open_object(const ObjectKey& key) const;
  /// False: there was none.
  bool remove(const ObjectKey& key) const noexcept;
  static void discard(const std::filesystem::path& path) noexcept;

 private:
  ObjectFolder(std::filesystem::path root, FileHandle lock) : root_(std::move(root)), lock_(std::move(lock)) {}
  [[nodiscard]] std::filesystem::path path_of(const ObjectKey& key) const;

  std::filesystem::path root_;
  FileHandle lock_;  // of flock(2): the system drops it with the process
};

[[nodiscard]] Result<> write_all(int fd, std::span<const std::byte> bytes, TimePoint deadline);
/// Exactly `bytes` bytes, which must be all of the file.
[[nodiscard]] Result<std::vector<std::byte>> read_whole(int fd, std::size_t bytes, TimePoint deadline);
/// Its time of modification is now.
void mark_used(int fd) noexcept;

}  // namespace sluice::kvstore
