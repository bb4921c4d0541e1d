#include "coordinator/sim/prompt_names.h"

#include <algorithm>
#include <cstring>

namespace sluice::sim {

using prefix::PrefixName;

/// An id names a block of the trace and all before it.
std::vector<PrefixName> prompt_names(const SimRequest& q, std::uint32_t positions, std::uint32_t block_size) {
  std::vector<PrefixName> out;
  if (!q.prefix_blocks) return out;
  const std::uint32_t per_block = std::max(kTraceBlock / block_size, 1U);
  const std::size_t named = std::min<std::size_t>(positions / block_size, q.prefix_blocks->size() * per_block);
  out.resize(named);
  for (std::uint32_t i = 0; i < named; ++i) {
    const std::uint32_t parts[] = {(*q.prefix_blocks)[i / per_block], i % per_block};
    std::memcpy(out[i].bytes.data(), parts, sizeof parts);
  }
  return out;
}

std::uint32_t CacheOracle::arrive(std::span<const PrefixName> names) {
  auto blocks = cache_.acquire(names);
  const auto had = static_cast<std::uint32_t>(blocks.size());
  if (auto rest = pool_.allocate(names.size() - had)) {
    blocks.insert(blocks.end(), rest->begin(), rest->end());
    cache_.publish(names, blocks, had);
  }
  for (const auto& b : blocks) (void)pool_.release(b);
  return had * block_size_;
}

}  // namespace sluice::sim
