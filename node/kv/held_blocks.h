#pragma once
// A transfer's references to KV blocks, held for as long as anybody reads or writes them.
//
// The transfer holds a lease, and so does each of its jobs; the last lease that is dropped gives the references back.
// So the blocks of a cancelled request are never given to another one under a reader or a writer.
// Threading: leases may be copied and dropped on any thread. `release` runs on the thread that drops the last one: drop
// none while holding a lock that `release` takes.
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/policy/block_allocator.h"

namespace sluice::node {

/// Gives one reference of each block back.
using ReleaseBlocks = std::function<void(const std::vector<engine::BlockHandle>&)>;

class HeldBlocks {
 public:
  HeldBlocks(std::vector<engine::BlockHandle> blocks, ReleaseBlocks release)
      : blocks_(std::move(blocks)), release_(std::move(release)) {}
  HeldBlocks(const HeldBlocks&) = delete;
  HeldBlocks& operator=(const HeldBlocks&) = delete;
  ~HeldBlocks() {
    if (!blocks_.empty()) release_(blocks_);
  }

  [[nodiscard]] std::span<const engine::BlockHandle> blocks() const noexcept { return blocks_; }

 private:
  std::vector<engine::BlockHandle> blocks_;
  ReleaseBlocks release_;
};

using BlocksLease = std::shared_ptr<const HeldBlocks>;

}  // namespace sluice::node
