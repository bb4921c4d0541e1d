#pragma once
// The tiers of a store as one flag says them:
//
//   memory:1GiB,disk:/var/lib/sluice/kv:10GiB,redis://[user@]host:port[/database]
//
// in the order in which what is read is promoted: from the later to the earlier ones. Sizes: a whole number and B, KiB,
// MiB, GiB or TiB. A password has no place in a flag, where every user of the machine sees it.
// Threading: pure functions. Failure: invalid_argument or unsupported, in words that show the part at fault.
#include <filesystem>
#include <string_view>
#include <variant>
#include <vector>

#include "common/result.h"
#include "kvstore/tier/redis_connection.h"

namespace sluice::kvstore {

struct MemorySpec {
  std::uint64_t bytes = 0;
};
struct DiskSpec {
  std::filesystem::path root;
  std::uint64_t bytes = 0;
};
struct RedisSpec {
  RedisServer server;  // without its password
};
using TierSpec = std::variant<MemorySpec, DiskSpec, RedisSpec>;

/// Empty text: no tiers.
[[nodiscard]] Result<std::vector<TierSpec>> parse_tiers(std::string_view text);

}  // namespace sluice::kvstore
