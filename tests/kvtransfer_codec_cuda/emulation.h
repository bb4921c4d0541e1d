#pragma once
// Runs kernel bodies (kvtransfer/codec/cuda/*.cuh) on the host: the threads of a block are contexts of their own that
// take turns between barriers, in an order that changes with every turn, so that a missing barrier shows. Blocks run
// one after the other, in a shuffled order too.
#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "kvtransfer/codec/cuda/layout.h"

namespace sluice::kv::cuda::test {

inline constexpr unsigned kWarp = 32;

/// Threads that wait for each other.
struct Barrier {
  unsigned members = 0, arrived = 0;
  std::uint64_t turn = 0;
};

struct Warp {
  Barrier barrier;
  std::uint64_t slots[2][kWarp] = {};  // by turn: a lane may be one turn ahead of another
};

class Block;

/// Class X of the kernels.
class EmulatedThread {
 public:
  EmulatedThread(Block& b, unsigned thread) : b_(&b), thread_(thread) {}
  [[nodiscard]] unsigned thread() const { return thread_; }
  [[nodiscard]] unsigned threads() const;
  [[nodiscard]] unsigned lane() const { return thread_ % kWarp; }
  [[nodiscard]] unsigned block() const;
  template <class T>
  T shfl_xor(T v, unsigned mask) {
    return shfl(v, lane() ^ mask);
  }
  template <class T>
  T shfl(T v, unsigned from) {
    static_assert(sizeof(T) <= 8);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &v, sizeof(T));
    bits = exchange(bits, from);
    std::memcpy(&v, &bits, sizeof(T));
    return v;
  }
  [[nodiscard]] std::uint32_t ballot(bool v);
  void sync_warp() { (void)exchange(0, 0); }
  void sync_block();
  void flag(std::uint32_t* word, DecodeError e) {
    if (*word == 0) *word = static_cast<std::uint32_t>(e);
  }

 private:
  std::uint64_t exchange(std::uint64_t v, unsigned from);
  Block* b_;
  unsigned thread_;
};

class Block {
 public:
  explicit Block(unsigned threads, std::uint32_t seed);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  /// Runs fn for every thread of block `index`.
  void run(unsigned index, const std::function<void(EmulatedThread&)>& fn);

  void wait(Barrier& b);
  [[nodiscard]] Warp& warp(unsigned thread) { return warps_[thread / kWarp]; }
  [[nodiscard]] Barrier& all() { return all_; }
  [[nodiscard]] unsigned threads() const { return static_cast<unsigned>(fibers_.size()); }
  [[nodiscard]] unsigned index() const { return index_; }

 private:
  struct Fiber;
  static void enter(unsigned high, unsigned low);
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Warp> warps_;
  Barrier all_;
  ucontext_t scheduler_{};
  Fiber* running_ = nullptr;
  const std::function<void(EmulatedThread&)>* fn_ = nullptr;
  unsigned index_ = 0;
  std::mt19937 random_;
};

/// A launch: every block of the grid, each with shared memory of its own that begins with garbage.
void launch(unsigned blocks, unsigned threads, std::size_t shared_bytes,
            const std::function<void(EmulatedThread&, std::byte* shared)>& body, std::uint32_t seed = 1);

}  // namespace sluice::kv::cuda::test
