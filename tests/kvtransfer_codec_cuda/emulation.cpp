#include "tests/kvtransfer_codec_cuda/emulation.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>

namespace sluice::kv::cuda::test {

struct Block::Fiber {
  static constexpr std::size_t kStack = std::size_t{256} << 10;
  Block* block = nullptr;
  unsigned thread = 0;
  ucontext_t context{};
  std::unique_ptr<std::byte[]> stack = std::make_unique_for_overwrite<std::byte[]>(kStack);
  Barrier* waits_for = nullptr;
  std::uint64_t turn = 0;
  bool done = false;
};

unsigned EmulatedThread::threads() const { return b_->threads(); }
unsigned EmulatedThread::block() const { return b_->index(); }

std::uint64_t EmulatedThread::exchange(std::uint64_t v, unsigned from) {
  Warp& w = b_->warp(thread_);
  std::uint64_t(&slots)[kWarp] = w.slots[w.barrier.turn % 2];
  slots[lane()] = v;
  b_->wait(w.barrier);
  return slots[from];
}

std::uint32_t EmulatedThread::ballot(bool v) {
  Warp& w = b_->warp(thread_);
  std::uint64_t(&slots)[kWarp] = w.slots[w.barrier.turn % 2];
  slots[lane()] = v ? 1 : 0;
  b_->wait(w.barrier);
  std::uint32_t all = 0;
  for (unsigned i = 0; i < kWarp; ++i) all |= static_cast<std::uint32_t>(slots[i]) << i;
  return all;
}

void EmulatedThread::sync_block() { b_->wait(b_->all()); }

Block::Block(unsigned threads, std::uint32_t seed) : warps_(threads / kWarp), random_(seed) {
  for (unsigned t = 0; t < threads; ++t) {
    fibers_.push_back(std::make_unique<Fiber>());
    fibers_.back()->block = this;
    fibers_.back()->thread = t;
  }
}
Block::~Block() = default;

void Block::enter(unsigned high, unsigned low) {
  auto* f = reinterpret_cast<Fiber*>(std::uintptr_t{high} << 32 | low);
  EmulatedThread x(*f->block, f->thread);
  (*f->block->fn_)(x);
  f->done = true;
  swapcontext(&f->context, &f->block->scheduler_);
}

void Block::wait(Barrier& b) {
  Fiber& f = *running_;
  f.waits_for = &b;
  f.turn = b.turn;
  if (++b.arrived == b.members) {
    b.arrived = 0;
    ++b.turn;
  }
  while (b.turn == f.turn) swapcontext(&f.context, &scheduler_);
  f.waits_for = nullptr;
}

void Block::run(unsigned index, const std::function<void(EmulatedThread&)>& fn) {
  index_ = index;
  fn_ = &fn;
  all_ = {.members = threads()};
  for (Warp& w : warps_) w = Warp{.barrier = {.members = kWarp}};
  for (auto& f : fibers_) {
    f->done = false;
    f->waits_for = nullptr;
    getcontext(&f->context);
    f->context.uc_stack = {.ss_sp = f->stack.get(), .ss_flags = 0, .ss_size = Fiber::kStack};
    f->context.uc_link = nullptr;
    const auto at = reinterpret_cast<std::uintptr_t>(f.get());
    makecontext(&f->context, reinterpret_cast<void (*)()>(&Block::enter), 2, static_cast<unsigned>(at >> 32),
                static_cast<unsigned>(at));
  }
  std::vector<unsigned> order(fibers_.size());
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t left = fibers_.size(); left > 0;) {
    std::shuffle(order.begin(), order.end(), random_);
    bool moved = false;
    for (const unsigned t : order) {
      Fiber& f = *fibers_[t];
      if (f.done || (f.waits_for != nullptr && f.waits_for->turn == f.turn)) continue;
      moved = true;
      running_ = &f;
      swapcontext(&scheduler_, &f.context);
      left -= f.done ? 1 : 0;
    }
    if (!moved) throw std::logic_error("a barrier that not all threads reach");
  }
}

void launch(unsigned blocks, unsigned threads, std::size_t shared_bytes,
            const std::function<void(EmulatedThread&, std::byte*)>& body, std::uint32_t seed) {
  Block block(threads, seed);
  std::vector<unsigned> order(blocks);
  std::iota(order.begin(), order.end(), 0U);
  std::mt19937 random(seed);
  std::shuffle(order.begin(), order.end(), random);
  const auto shared = std::make_unique<std::max_align_t[]>(shared_bytes / sizeof(std::max_align_t) + 1);
  for (const unsigned b : order) {
    std::memset(shared.get(), 0xa5, shared_bytes);
    block.run(b, [&](EmulatedThread& x) { body(x, reinterpret_cast<std::byte*>(shared.get())); });
  }
}

}  // namespace sluice::kv::cuda::test
