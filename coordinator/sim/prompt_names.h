#pragma once
// Prefixes in recorded loads: what a trace's prompts have in common, as names of KV blocks; and how much of it a cache
// could have had that knows everything at once. Pure.
#include <cstdint>
#include <span>
#include <vector>

#include "common/prefix/name.h"
#include "coordinator/sim/workload.h"
#include "engine/policy/prefix_cache.h"

namespace sluice::sim {

/// Tokens of a block that traces name (Mooncake's, in its paper and its data).
inline constexpr std::uint32_t kTraceBlock = 512;

/// The names of the full blocks of the prompt's first `positions`; none where the trace names none.
[[nodiscard]] std::vector<prefix::PrefixName> prompt_names(const SimRequest& q, std::uint32_t positions,
                                                           std::uint32_t block_size);

/// One cache for all prefill nodes, as large as theirs together, which has a prompt as soon as it comes.
class CacheOracle {
 public:
  CacheOracle(std::uint32_t blocks, std::uint32_t block_size) : block_size_(block_size), pool_(blocks), cache_(pool_) {}
  /// Positions of the prompt that it had.
  std::uint32_t arrive(std::span<const prefix::PrefixName> names);

 private:
  std::uint32_t block_size_;
  engine::BlockAllocator pool_;
  engine::PrefixCache cache_;
};

}  // namespace sluice::sim
