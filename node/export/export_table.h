#pragma once
// The exports that have not ended, by request. Threading: any thread; one mutex, held for look-ups only.
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "node/export/export.h"

namespace sluice::node {

class ExportTable {
 public:
  using Ptr = std::shared_ptr<Export>;

  void add(Ptr e) {
    const std::lock_guard lock(mutex_);
    by_request_[e->request()] = std::move(e);
  }
  /// Null when it is not here.
  [[nodiscard]] Ptr find(RequestId request) const {
    const std::lock_guard lock(mutex_);
    const auto it = by_request_.find(request);
    return it == by_request_.end() ? nullptr : it->second;
  }
  [[nodiscard]] Ptr find(const kv::TicketId& ticket) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, e] : by_request_)
      if (e->ticket().id == ticket) return e;
    return nullptr;
  }
  [[nodiscard]] std::vector<Ptr> to(const std::string& address) const {
    std::vector<Ptr> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [id, e] : by_request_)
      if (e->address() == address) out.push_back(e);
    return out;
  }
  /// Forgets this export; another one of the same request stays.
  void erase(const Ptr& e) {
    const std::lock_guard lock(mutex_);
    const auto it = by_request_.find(e->request());
    if (it != by_request_.end() && it->second == e) by_request_.erase(it);
  }
  [[nodiscard]] std::vector<Ptr> take_all() {
    std::vector<Ptr> out;
    const std::lock_guard lock(mutex_);
    for (auto& [id, e] : by_request_) out.push_back(std::move(e));
    by_request_.clear();
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<RequestId, Ptr> by_request_;
};

}  // namespace sluice::node
