#pragma once
// Finds whose key it is. Every key is compared, whichever fits, and digests have one length: the time taken tells
// nothing about the keys. Threading: immutable once made; share freely.
#include <memory>
#include <string_view>
#include <vector>

#include "coordinator/tenants/key_file.h"

namespace sluice::coordinator {

class KeyRing {
 public:
  explicit KeyRing(std::vector<ApiKey> keys);
  /// Null: nobody's. One that has expired is found all the same.
  [[nodiscard]] std::shared_ptr<const ApiKey> find(std::string_view key) const;
  [[nodiscard]] const std::vector<std::shared_ptr<const ApiKey>>& keys() const noexcept { return keys_; }

 private:
  std::vector<std::shared_ptr<const ApiKey>> keys_;
};

}  // namespace sluice::coordinator
