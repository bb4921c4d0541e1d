// The tiers that need nobody else.
#include "kvstore/tier/disk_tier.h"
#include "kvstore/tier/memory_tier.h"
#include "tests/kvstore/conformance.h"
#include "tests/kvstore/objects.h"
#include "tests/support/temp_dir.h"

namespace sluice::kvstore::test {

const std::vector<TierKind>& tiers_under_test() {
  static const std::vector<TierKind> all{
      {"memory", true,
       [](const ResidentLimits& limits) { return TierRig{nullptr, make_memory_tier(limits, plain_keys())}; }},
      {"disk", true,
       [](const ResidentLimits& limits) {
         auto dir = std::make_shared<sluice::test::TempDir>();
         auto tier = open_disk_tier({.root = dir->path(), .limits = limits}, plain_keys()).value();
         return TierRig{std::move(dir), std::move(tier)};
       }},
  };
  return all;
}

}  // namespace sluice::kvstore::test
