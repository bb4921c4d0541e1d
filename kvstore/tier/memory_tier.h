#pragma once
// Objects in this process's memory. A get shares the bytes: it copies nothing and waits for nobody but a short mutex.
// See tier.h; deadlines never pass here.
#include <memory>

#include "kvstore/tier/residents.h"

namespace sluice::kvstore {

/// keys: checks what is written; must outlive the tier.
[[nodiscard]] std::unique_ptr<Tier> make_memory_tier(const ResidentLimits& limits, const ObjectKeys& keys);

}  // namespace sluice::kvstore
