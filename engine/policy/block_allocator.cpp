#include "engine/policy/block_allocator.h"

namespace sluice::engine {

BlockAllocator::BlockAllocator(std::uint32_t blocks) : slots_(blocks) {
  free_.reserve(blocks);
  for (std::uint32_t i = blocks; i > 0; --i) free_.push_back(i - 1);
}

Result<std::vector<BlockHandle>> BlockAllocator::allocate(std::size_t n) {
  if (n > free_.size() && n <= free_blocks()) keeper_->give_up(static_cast<std::uint32_t>(n - free_.size()));
  if (n > free_.size())
    return fail(Errc::resource_exhausted, "{} KV blocks needed, {} of {} are free", n, free_blocks(), slots_.size());
  std::vector<BlockHandle> out;
  out.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t id = free_.back();
    free_.pop_back();
    slots_[id].references = 1;
    out.push_back({BlockId(id), slots_[id].generation});
  }
  return out;
}

Result<> BlockAllocator::retain(BlockHandle h) {
  SLUICE_ASSIGN(Slot * s, slot(h));
  if (++s->references == 2 && s->kept) keeper_->on_used(h.id);
  return {};
}

Result<> BlockAllocator::release(BlockHandle h) {
  if (!valid(h)) return std::unexpected(std::move(slot(h)).error());
  const Slot& s = slots_[h.id.value()];
  if (s.kept && s.references == 1)
    return fail(Errc::stale, "block {} generation {} is the keeper's alone", h.id, h.generation);
  drop(h);
  return {};
}

Result<> BlockAllocator::keep(BlockHandle h) {
  SLUICE_ASSIGN(Slot * s, slot(h));
  if (s->kept) return fail(Errc::already_exists, "block {} is kept already", h.id);
  s->kept = true;
  ++s->references;
  return {};
}

Result<> BlockAllocator::let_go(BlockHandle h) {
  SLUICE_ASSIGN(Slot * s, slot(h));
  if (!s->kept) return fail(Errc::stale, "block {} is not kept", h.id);
  s->kept = false;
  drop(h);
  return {};
}

void BlockAllocator::drop(BlockHandle h) {
  Slot& s = slots_[h.id.value()];
  if (--s.references == 1 && s.kept) keeper_->on_idle(h.id);
  if (s.references > 0) return;
  if (++s.generation == 0) s.generation = 1;
  free_.push_back(h.id.value());
}

bool BlockAllocator::valid(BlockHandle h) const noexcept { return references(h) > 0; }

std::uint32_t BlockAllocator::references(BlockHandle h) const noexcept {
  if (h.id.value() >= slots_.size()) return 0;
  const Slot& s = slots_[h.id.value()];
  return s.generation == h.generation ? s.references : 0;
}

Result<BlockAllocator::Slot*> BlockAllocator::slot(BlockHandle h) {
  if (h.id.value() >= slots_.size())
    return fail(Errc::invalid_argument, "block {} does not exist, the pool has {}", h.id, slots_.size());
  Slot& s = slots_[h.id.value()];
  if (s.generation != h.generation || s.references == 0)
    return fail(Errc::stale, "block {} generation {} was freed, the pool is at generation {}", h.id, h.generation,
                s.generation);
  return &s;
}

}  // namespace sluice::engine
