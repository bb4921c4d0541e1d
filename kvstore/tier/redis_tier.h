#pragma once
// Objects in a Redis server that several nodes share. See tier.h.
//
// An object is one hash, `sluice:kv:{<key>}`, of chunks ("0", "1", ...) and its length ("b"). It is written as
// `sluice:kv:{<key>}:new:<random>`, which expires by itself, and renamed by one script when it is whole: so nobody sees
// half of one, and Redis evicts all of one or nothing. Both names are in one slot of a cluster. Chunks keep the server
// answering others while an object is read.
//
// Room is the server's: `maxmemory` with an `allkeys` policy; without one, puts fail when it is full. What nobody read
// for `idle` expires. What this tier reads it checks: a server that is flushed, restarted or changed by others costs a
// miss, and never gives wrong KV. The server can read KV that no store key seals.
#include <chrono>
#include <memory>

#include "kvstore/tier/redis_connection.h"
#include "kvstore/tier/tier.h"

namespace sluice::kvstore {

struct RedisTierOptions {
  RedisServer server;
  std::chrono::seconds idle = std::chrono::hours(24);
};

/// Connects when it is first used. keys: checks what is read; must outlive the tier.
[[nodiscard]] std::unique_ptr<Tier> make_redis_tier(RedisTierOptions options, const ObjectKeys& keys);

}  // namespace sluice::kvstore
