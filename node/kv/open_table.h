#pragma once
// The exports, or transfers, that have not ended, by request and by ticket. A request that comes again has two for a
// while: its name finds the newer one.
// T has request() and ticket(), which never change. Threading: any thread; one mutex, held for look-ups only.
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "kvtransfer/wire/ticket.h"

namespace sluice::node {

template <class T>
class OpenTable {
 public:
  using Ptr = std::shared_ptr<T>;

  void add(const Ptr& t) {
    const std::lock_guard lock(mutex_);
    by_request_[t->request()] = t;
    by_ticket_[t->ticket().id] = t;
  }
  /// Null when it is not here.
  [[nodiscard]] Ptr find(RequestId request) const {
    const std::lock_guard lock(mutex_);
    const auto it = by_request_.find(request);
    return it == by_request_.end() ? nullptr : it->second;
  }
  [[nodiscard]] Ptr find(const kv::TicketId& ticket) const {
    const std::lock_guard lock(mutex_);
    const auto it = by_ticket_.find(ticket);
    return it == by_ticket_.end() ? nullptr : it->second;
  }
  [[nodiscard]] std::vector<Ptr> all() const {
    std::vector<Ptr> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [id, t] : by_ticket_) out.push_back(t);
    return out;
  }
  /// Forgets this one; another one of the same request stays.
  void erase(const Ptr& t) {
    const std::lock_guard lock(mutex_);
    by_ticket_.erase(t->ticket().id);
    const auto it = by_request_.find(t->request());
    if (it != by_request_.end() && it->second == t) by_request_.erase(it);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<RequestId, Ptr> by_request_;
  std::map<kv::TicketId, Ptr> by_ticket_;
};

}  // namespace sluice::node
