#pragma once
// Grammars of legs, compiled for this node's vocabulary: on threads of their own, once for all legs that want the same
// one. A leg that waits delays nobody: neither the engine nor, beyond its turn, another tenant's. Short grammars have a
// thread for themselves, so that none waits behind a long one; both threads are of a lower priority of the system's.
//
//   want -> [known: told at once] or queued -> compiled -> told; drop takes a leg that has gone off the list
//
// Threading: any thread; one mutex, never held while a grammar is compiled or somebody is told. Who waits is told from
// a compiling thread, who need not wait from within want(). Life: stop() before what is told goes; who waits then is
// not told. Failure: want() refuses beyond kMostWaiting grammars (resource_exhausted); a grammar that cannot be
// compiled is told as its error, and remembered.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/control/leg_space.h"
#include "common/ids.h"
#include "common/metrics.h"
#include "decode_node/automaton_cache.h"

namespace sluice::decode {

class Automata {
 public:
  static constexpr std::size_t kMostWaiting = 256;  // in each lane
  static constexpr std::size_t kShortBytes = std::size_t{32} << 10U;
  static constexpr std::size_t kCacheBytes = std::size_t{256} << 20U;
  using Compile = std::function<Compiled(const std::string& grammar)>;
  using Tell = std::function<void(const Compiled&)>;

  Automata(Compile compile, Metrics& metrics, std::size_t cache_bytes = kCacheBytes);
  ~Automata();
  Automata(const Automata&) = delete;
  Automata& operator=(const Automata&) = delete;

  [[nodiscard]] Result<> want(RequestId leg, const std::string& tenant, const SharedText& grammar, const Tell& tell);
  void drop(RequestId leg);
  /// Those of one coordinator.
  void drop_all(control::LegSpace of);
  void stop();

  struct Figures {
    std::size_t waiting = 0;  // grammars, with the one that is being compiled
    std::size_t cached = 0, cached_bytes = 0;
  };
  [[nodiscard]] Figures figures() const;

 private:
  struct Waiter {
    RequestId leg;
    Tell tell;
  };
  struct Job {
    GrammarKey key{};
    std::string tenant;
    SharedText grammar;
    std::vector<Waiter> waiters;
  };
  /// Short grammars, or long ones.
  struct Lane {
    std::condition_variable came;
    std::deque<Job> queue;
    Job running;  // without waiters: nothing is, or nobody waits any more
    bool busy = false;
    std::string last_tenant;
    std::thread thread;
    /// Takes the next one in turn off the queue.
    [[nodiscard]] Job next();
  };
  void start(Lane& lane, const char* name);
  void run(Lane& lane);
  [[nodiscard]] Result<> queue(Job job);
  template <class Gone>
  void forget(const Gone& gone);

  const Compile compile_;
  Histogram seconds_;
  Counter known_, shared_, made_, refused_;

  mutable std::mutex mutex_;
  AutomatonCache cache_;
  bool stopping_ = false;
  Lane short_, long_;
};

}  // namespace sluice::decode
