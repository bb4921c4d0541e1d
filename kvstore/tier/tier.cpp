#include "kvstore/tier/tier.h"

#include <algorithm>

namespace sluice::kvstore {

Result<> put_object(Tier& tier, const ObjectBytes& object, Deadline deadline) {
  constexpr std::size_t kPiece = std::size_t{512} << 10U;
  SLUICE_ASSIGN(const auto put, tier.begin(object.key(), object.facts(), deadline));
  for (auto rest = object.bytes(); !rest.empty();) {
    const std::size_t n = std::min(kPiece, rest.size());
    SLUICE_TRY(put->part(rest.first(n)));
    rest = rest.subspan(n);
  }
  return put->commit();
}

}  // namespace sluice::kvstore
