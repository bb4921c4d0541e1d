#pragma once
// Objects as files of a folder that one process owns (why files: docs/adr/0015-objects-are-files.md). They outlive the
// process: a start reads their heads, and gives them back in the order of their last use. See tier.h.
//
// Threading: bytes are read and written outside the mutex; files appear and go under it.
// A full disk: the put fails with resource_exhausted and leaves nothing; what is there stays readable.
#include <filesystem>
#include <memory>

#include "kvstore/tier/residents.h"

namespace sluice::kvstore {

struct DiskTierOptions {
  std::filesystem::path root;
  ResidentLimits limits;
};

/// keys: checks what is read; must outlive the tier. already_exists when another process has the folder; not_found,
/// unavailable or invalid_argument when it cannot be used.
[[nodiscard]] Result<std::unique_ptr<Tier>> open_disk_tier(const DiskTierOptions& options, const ObjectKeys& keys);

}  // namespace sluice::kvstore
