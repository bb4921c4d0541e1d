#pragma once
// How threads read a byte. A thread is one way to have read the text so far: a place in the network, how much its unit
// counted, and the stacks under it. Calls that begin at the same byte with the same way back share one frame, so the
// number of threads grows with the network and the length of the text, not with the number of ways to read it.
//
// At most kThreads are kept, and kArrivals looked at. Where a grammar is so ambiguous that there are more, the later
// ones are given up: what is read from there on is still a text of the grammar, but not every one of them is found.
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/automaton/network.h"
#include "text/grammar/automaton/stacks.h"

namespace sluice::text::grammar {

struct Thread {
  PlaceIndex place = 0;
  std::uint32_t count = 0;
  FrameIndex frame = Stacks::kBottom;
  auto operator<=>(const Thread&) const = default;
};

/// Threads that can read a byte, ascending, and whether the bottom was reached: the text may end.
struct ThreadSet {
  std::vector<Thread> threads;
  bool bottom = false;

  [[nodiscard]] bool dead() const { return threads.empty() && !bottom; }
  void clear() {
    threads.clear();
    bottom = false;
  }
};

class Stepper {
 public:
  static constexpr std::size_t kThreads = 512;
  /// Places come to in one step, at most.
  static constexpr std::size_t kArrivals = 4096;

  /// The network outlives its use here. Work begins at 0.
  void use(const Network& network) {
    net_ = &network;
    list_ = nullptr;
    gave_up_ = false;
    work_ = 0;
  }
  /// Frames that are come back to are listed from now on, where there is a list.
  void list_frames(std::vector<FrameIndex>* list) { list_ = list; }
  /// Since use(): some threads were given up.
  [[nodiscard]] bool gave_up() const { return gave_up_; }
  /// Arrivals and calls so far: what steps cost.
  [[nodiscard]] std::size_t work() const { return work_; }

  /// The threads of an empty text.
  void open(Stacks& stacks, ThreadSet& out);
  /// What `in` becomes with a byte. `out` is another set.
  void step(std::span<const Thread> in, std::uint8_t byte, Stacks& stacks, ThreadSet& out);
  /// What calls become that come back to these frames.
  void come_back(std::span<const Thread> from, Stacks& stacks, ThreadSet& out);

 private:
  struct Call {
    UnitIndex unit;
    bool tail;  // comes back to where its caller does
    PlaceIndex back;
    std::uint32_t count;
    FrameIndex parent;
    auto operator<=>(const Call&) const = default;
  };
  void arrive(Thread t);
  void reach(Thread t, const Stacks& stacks, ThreadSet& out);
  void call_all(Thread t, const Place& place);
  void leave(FrameIndex frame, const Stacks& stacks, ThreadSet& out);
  void settle(Stacks& stacks, ThreadSet& out);
  void make_calls(Stacks& stacks, ThreadSet& out);
  void keep(Thread t, const Place& place, ThreadSet& out);
  bool seen(Thread t);
  [[nodiscard]] bool full() {
    if (arrivals_ < kArrivals) return false;
    gave_up_ = true;
    return true;
  }
  void forget();

  const Network* net_ = nullptr;
  std::vector<Thread> arrived_;
  std::vector<Call> calls_;  // a heap, least first
  std::vector<FrameIndex> parents_;
  std::vector<FrameIndex>* list_ = nullptr;
  bool gave_up_ = false;
  // Threads that arrived during this step: open addressing, slots of other steps are free.
  struct Slot {
    Thread thread;
    std::uint32_t step = 0;
  };
  std::vector<Slot> slots_ = std::vector<Slot>(64);
  std::uint32_t step_ = 0;
  std::size_t used_ = 0;
  std::size_t arrivals_ = 0;
  std::size_t work_ = 0;
};

}  // namespace sluice::text::grammar
