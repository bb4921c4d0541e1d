#pragma once
// How much memory a node gives to KV blocks: what was asked for, or a share of what is left once the weights are
// loaded. Pure, thread-safe.
//
// Without a request: half of the available memory, since the same machine may hold another node and the buffers of
// both; more, up to four fifths, where one whole context needs it; never more than 16 contexts or 512 MiB, whichever is
// more, so that a small model does not take a large machine; never more than all sequences at once can fill.
//
// Failure: invalid_argument for a request that holds no block; resource_exhausted when, unasked, not even a short chat
// would fit. A pool smaller than one context is no failure: `longest` says what fits, `note` says it in words.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::engine {

struct KvDemand {
  std::uint64_t available = 0;             // bytes that are free once the weights are loaded
  std::uint64_t token_bytes = 0;           // K and V of one token in all layers
  std::uint32_t block_size = 16;           // tokens in a block
  std::uint32_t context = 0;               // tokens of the longest sequence that the model allows
  std::uint32_t max_seqs = 0;              // sequences held at once; 0: no bound is known
  std::optional<std::uint64_t> requested;  // bytes that the user asked for
};

struct KvSizing {
  std::uint32_t blocks = 0;
  std::uint64_t bytes = 0;
  std::uint32_t longest = 0;  // tokens of the longest sequence that fits, at most the context
  std::string note;           // for the log, when it is worth one
};

/// token_bytes, block_size and context must be above 0.
[[nodiscard]] Result<KvSizing> size_kv_pool(const KvDemand& d);

/// What a control group says of its memory: the texts of memory.max, memory.current and memory.stat (or what version 1
/// calls them). Empty: it does not say.
struct GroupMemory {
  std::string_view limit, usage, stat;
};

/// Bytes that programs can still take of the machine: /proc/meminfo's MemAvailable. None when it is not there.
[[nodiscard]] std::optional<std::uint64_t> free_in_machine(std::string_view meminfo);
/// Bytes that the group may still take. Files that it has read and does not use now are no usage: they make room. None
/// without a limit.
[[nodiscard]] std::optional<std::uint64_t> free_in_group(const GroupMemory& group);

}  // namespace sluice::engine
