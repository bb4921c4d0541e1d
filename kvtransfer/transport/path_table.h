#pragma once
// The lanes of open connections, for whoever asks. Any thread.
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

class PathTable {
 public:
  void put(ConnId conn, OpenPath path) {
    const std::lock_guard lock(mu_);
    paths_[conn] = std::move(path);
  }
  void drop(ConnId conn) {
    const std::lock_guard lock(mu_);
    paths_.erase(conn);
  }
  [[nodiscard]] std::string lane(ConnId conn) const {
    const std::lock_guard lock(mu_);
    const auto it = paths_.find(conn);
    return it == paths_.end() ? "not connected" : it->second.lane;
  }
  [[nodiscard]] std::vector<OpenPath> all() const {
    const std::lock_guard lock(mu_);
    std::vector<OpenPath> out;
    for (const auto& [conn, path] : paths_) out.push_back(path);
    return out;
  }

 private:
  mutable std::mutex mu_;
  std::unordered_map<ConnId, OpenPath> paths_;
};

}  // namespace sluice::kv
