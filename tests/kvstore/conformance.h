#pragma once
// What conformance_test.cpp runs over: the tiers of the program that it is linked into.
#include <functional>
#include <string>
#include <vector>

#include "kvstore/tier/residents.h"

namespace sluice::kvstore::test {

/// A tier and whatever it stands on.
struct TierRig {
  std::shared_ptr<void> under;
  std::unique_ptr<Tier> tier;
};

struct TierKind {
  std::string name;
  bool evicts = true;  // by limits of its own
  std::function<TierRig(const ResidentLimits&)> make;
};

/// Empty: they cannot run here.
[[nodiscard]] const std::vector<TierKind>& tiers_under_test();

}  // namespace sluice::kvstore::test
