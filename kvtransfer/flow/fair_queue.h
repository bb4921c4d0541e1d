#pragma once
// What waits for one receiver's credit, in turns: one item of each tag, oldest tag first, so that a long prompt's
// frames do not hold up a short one's. Within a tag the order stays. Pure logic; the owner serialises calls.
//
// The front stays the front until it is popped, whatever is pushed meanwhile: a large item that waits for room is not
// passed by small ones for ever.
#include <cstdint>
#include <deque>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sluice::kv {

template <class T>
class FairQueue {
 public:
  void push(std::uint64_t tag, T item) {
    auto [it, fresh] = by_tag_.try_emplace(tag);
    if (fresh) it->second = turns_.insert(turns_.end(), Turn{tag, {}});
    it->second->items.push_back(std::move(item));
  }
  [[nodiscard]] bool empty() const noexcept { return turns_.empty(); }
  /// The item whose turn it is; the queue is not empty.
  [[nodiscard]] T& front() noexcept { return turns_.front().items.front(); }
  /// Takes the front; its tag's next item waits until every other tag had its turn.
  T pop() {
    const auto turn = turns_.begin();
    T item = std::move(turn->items.front());
    turn->items.pop_front();
    if (turn->items.empty())
      forget(turn);
    else
      turns_.splice(turns_.end(), turns_, turn);
    return item;
  }
  /// Takes everything of a tag, in order.
  [[nodiscard]] std::deque<T> remove(std::uint64_t tag) {
    const auto it = by_tag_.find(tag);
    if (it == by_tag_.end()) return {};
    auto items = std::move(it->second->items);
    forget(it->second);
    return items;
  }
  /// Takes everything, in the order of the turns.
  [[nodiscard]] std::vector<T> drain() {
    std::vector<T> all;
    while (!empty()) all.push_back(pop());
    return all;
  }

 private:
  struct Turn {
    std::uint64_t tag = 0;
    std::deque<T> items;  // never empty between calls
  };
  void forget(typename std::list<Turn>::iterator turn) {
    by_tag_.erase(turn->tag);
    turns_.erase(turn);
  }
  std::list<Turn> turns_;
  std::unordered_map<std::uint64_t, typename std::list<Turn>::iterator> by_tag_;
};

}  // namespace sluice::kv
