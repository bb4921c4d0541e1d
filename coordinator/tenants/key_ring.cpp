#include "coordinator/tenants/key_ring.h"

#include <utility>

namespace sluice::coordinator {

KeyRing::KeyRing(std::vector<ApiKey> keys) {
  for (ApiKey& k : keys) keys_.push_back(std::make_shared<const ApiKey>(std::move(k)));
}

std::shared_ptr<const ApiKey> KeyRing::find(std::string_view key) const {
  const Digest given = sha256(key);
  std::size_t at = keys_.size();
  for (std::size_t i = 0; i < keys_.size(); ++i)
    if (same_digest(given, keys_[i]->hash)) at = i;
  return at < keys_.size() ? keys_[at] : nullptr;
}

}  // namespace sluice::coordinator
