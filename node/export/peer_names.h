#pragma once
// Who is at which data address. The transport knows decode nodes by address; people know them by name.
// Learned from whoever names both (a path probe, a ticket), forgotten when the connection ends.
// Threading: any thread; one mutex.
#include <map>
#include <mutex>
#include <string>

#include "common/ids.h"

namespace sluice::node {

class PeerNames {
 public:
  /// An empty name teaches nothing.
  void learn(const std::string& address, const NodeId& node) {
    const std::lock_guard lock(mutex_);
    if (!node.value().empty()) names_[address] = node;
  }
  void forget(const std::string& address) {
    const std::lock_guard lock(mutex_);
    names_.erase(address);
  }
  /// The address itself where nobody is known.
  [[nodiscard]] std::string at(const std::string& address) const {
    const std::lock_guard lock(mutex_);
    const auto it = names_.find(address);
    return it == names_.end() ? address : it->second.value();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, NodeId> names_;
};

}  // namespace sluice::node
