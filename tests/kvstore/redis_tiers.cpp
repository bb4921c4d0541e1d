// The tiers of a Redis that runs as a process of its own.
#include "kvstore/tier/redis_tier.h"
#include "tests/kvstore/conformance.h"
#include "tests/kvstore/objects.h"
#include "tests/support/real_redis.h"

namespace sluice::kvstore::test {

const std::vector<TierKind>& tiers_under_test() {
  static const std::vector<TierKind> all =
      sluice::test::RealRedis::installed()
          ? std::vector<TierKind>{{"redis", false,
                                   [](const ResidentLimits&) {
                                     auto redis = std::make_shared<sluice::test::RealRedis>();
                                     auto tier = make_redis_tier({.server = redis->server()}, plain_keys());
                                     return TierRig{std::move(redis), std::move(tier)};
                                   }}}
          : std::vector<TierKind>{};
  return all;
}

}  // namespace sluice::kvstore::test
