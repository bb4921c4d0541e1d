#pragma once
// What other threads ask of a thread that owns its state: closures, run there in the order in which they came.
// Unbounded: callers bound what they ask for.
//
// Threading: push() and empty() from anywhere, run() on the owning thread; commands may push further ones. It wakes
// nobody.
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice::kv {

template <class Owner>
class CommandQueue {
 public:
  using Command = std::move_only_function<void(Owner&)>;

  void push(Command c) {
    const std::lock_guard lock(mu_);
    commands_.push_back(std::move(c));
    any_ = true;
  }
  [[nodiscard]] bool empty() const noexcept { return !any_; }

  /// Those that were there at its begin; true if there were any.
  bool run(Owner& owner) {
    if (!any_) return false;
    std::vector<Command> batch;
    {
      const std::lock_guard lock(mu_);
      batch.swap(commands_);
      any_ = false;
    }
    for (auto& c : batch) c(owner);
    return !batch.empty();
  }

 private:
  std::mutex mu_;
  std::vector<Command> commands_;  // guarded by mu_
  std::atomic<bool> any_ = false;  // written under mu_; spares an idle turn the lock
};

}  // namespace sluice::kv
