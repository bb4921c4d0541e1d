#pragma once
// What waits to be encoded, by the link it will take. Links take turns, and on each link so do requests, so that
// neither a slow link nor a long prompt holds up the others. An item is handed out only when its link has room for its
// bytes: encoded bytes in flight are bounded in total, and per link by what it carries in a short while, so that memory
// is not all taken by a link that has come to a stand.
//
// Threading: any number of producers and consumers; `window` is called under the lock and must not come back here.
// Failure: after close() nothing is taken in or handed out.
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kvtransfer/flow/fair_queue.h"

namespace sluice::node {

template <class T>
class LinkQueue {
 public:
  /// Bytes that a link may have in flight just now. One item always may.
  using Window = std::function<std::size_t(const std::string& link)>;

  LinkQueue(std::size_t max_bytes, Window window) : max_bytes_(max_bytes), window_(std::move(window)) {}

  /// False once closed.
  bool push(const std::string& link, std::uint64_t tag, T item, std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      Link& l = links_[link];
      if (l.waiting.empty()) turns_.push_back(link);
      l.waiting.push(tag, Item{std::move(item), bytes});
    }
    changed_.notify_one();
    return true;
  }

  /// Waits for an item whose link has room; its bytes are in flight until they are given back. Empty once closed.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      for (std::size_t i = 0; i < turns_.size(); ++i) {
        const std::string name = std::move(turns_.front());
        turns_.pop_front();
        Link& l = links_[name];
        const std::size_t bytes = l.waiting.front().bytes;
        const bool go = fits(name, l, bytes);
        std::optional<Item> item;
        if (go) {
          item = l.waiting.pop();
          l.inflight += bytes;
          inflight_ += bytes;
        }
        if (!l.waiting.empty()) turns_.push_back(name);
        if (item) return std::move(item->value);
      }
      changed_.wait(lock);
    }
    return std::nullopt;
  }

  /// Of an item's bytes so many are not in flight any more, or turned out not to be needed.
  void give_back(const std::string& link, std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      const auto it = links_.find(link);
      if (it == links_.end()) return;
      const std::size_t gone = std::min(bytes, it->second.inflight);
      it->second.inflight -= gone;
      inflight_ -= gone;
      if (it->second.inflight == 0 && it->second.waiting.empty()) links_.erase(it);
    }
    changed_.notify_all();
  }

  /// Takes out what waits under a tag.
  [[nodiscard]] std::vector<T> remove(const std::string& link, std::uint64_t tag) {
    std::vector<T> out;
    const std::lock_guard lock(mutex_);
    const auto it = links_.find(link);
    if (it == links_.end() || it->second.waiting.empty()) return out;
    for (Item& i : it->second.waiting.remove(tag)) out.push_back(std::move(i.value));
    if (it->second.waiting.empty()) std::erase(turns_, link);
    if (it->second.inflight == 0 && it->second.waiting.empty()) links_.erase(it);
    return out;
  }

  /// Drops what waits.
  void close() {
    std::map<std::string, Link> dropped;  // after the mutex: an item may hold more than memory
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      dropped.swap(links_);
      turns_.clear();
    }
    changed_.notify_all();
  }

 private:
  struct Item {
    T value;
    std::size_t bytes = 0;
  };
  struct Link {
    kv::FairQueue<Item> waiting;  // by tag
    std::size_t inflight = 0;
  };

  [[nodiscard]] bool fits(const std::string& name, const Link& l, std::size_t bytes) const {
    if (inflight_ > 0 && bytes > max_bytes_ - std::min(inflight_, max_bytes_)) return false;
    if (l.inflight == 0) return true;
    const std::size_t window = window_(name);
    return bytes <= window - std::min(l.inflight, window);
  }

  const std::size_t max_bytes_;
  const Window window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  std::size_t inflight_ = 0;
  std::map<std::string, Link> links_;  // those with something waiting or in flight
  std::deque<std::string> turns_;      // links with something waiting
};

}  // namespace sluice::node
