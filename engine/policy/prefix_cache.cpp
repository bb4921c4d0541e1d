#include "engine/policy/prefix_cache.h"

namespace sluice::engine {

PrefixCache::PrefixCache(BlockAllocator& pool) : pool_(pool), entries_(pool.total_blocks()) { pool_.attach(this); }

PrefixCache::~PrefixCache() {
  for (const auto& [name, b] : known_) (void)pool_.let_go(entries_[b].block);
  pool_.attach(nullptr);
}

std::vector<BlockHandle> PrefixCache::acquire(Chain chain) {
  std::vector<BlockHandle> out;
  ++uses_;
  for (const prefix::PrefixName& name : chain) {
    const auto it = known_.find(name);
    if (it == known_.end() || !pool_.retain(entries_[it->second].block)) break;
    touch(it->second);
    out.push_back(entries_[it->second].block);
  }
  return out;
}

void PrefixCache::publish(Chain chain, std::span<const BlockHandle> blocks, std::size_t from) {
  ++uses_;
  // Of another sequence's block that stood for a name here nothing is sure: it may have gone.
  while (from > 0 && !knows(chain[from - 1])) --from;
  Index parent = from > 0 ? known_.at(chain[from - 1]) : kNone;
  for (std::size_t i = from; i < chain.size(); ++i) {
    if (const auto it = known_.find(chain[i]); it != known_.end()) {
      touch(it->second);
      parent = it->second;
    } else if (add(chain[i], blocks[i], parent)) {
      parent = blocks[i].id.value();
    } else {
      return;
    }
  }
}

void PrefixCache::count(std::uint64_t queried_tokens, std::uint64_t hit_tokens) noexcept {
  counters_.queried_tokens += queried_tokens;
  counters_.hit_tokens += hit_tokens;
}

PrefixCacheCounters PrefixCache::counters() const noexcept {
  PrefixCacheCounters c = counters_;
  c.blocks = static_cast<std::uint32_t>(known_.size());
  return c;
}

PrefixChanges PrefixCache::changes_since(std::uint64_t from) const {
  if (auto since = log_.since(from)) return std::move(*since);
  PrefixChanges all{.anew = true, .next = log_.next()};
  all.stored.reserve(known_.size());
  for (const auto& [name, b] : known_) all.stored.push_back(name);
  return all;
}

void PrefixCache::on_idle(BlockId b) { unpin(b.value()); }
void PrefixCache::on_used(BlockId b) { pin(b.value()); }

void PrefixCache::give_up(std::uint32_t n) {
  for (; n > 0 && !leaves_.empty(); --n) {
    remove(leaves_.begin()->second);
    ++counters_.evicted_blocks;
  }
}

bool PrefixCache::add(const prefix::PrefixName& name, BlockHandle block, Index parent) {
  if (!pool_.keep(block)) return false;
  const Index b = block.id.value();
  entries_[b] = {.name = name, .block = block, .parent = parent, .used = uses_};
  known_.emplace(name, b);
  log_.stored(name);
  if (parent != kNone) {
    Entry& p = entries_[parent];
    if (p.children++ == 0 && p.pins == 0) leaves_.erase({p.used, parent});
  }
  ++spare_;
  leaves_.emplace(uses_, b);
  if (pool_.references(block) > 1) pin(b);
  return true;
}

/// Of a leaf without pins.
void PrefixCache::remove(Index b) {
  const Entry& e = entries_[b];
  leaves_.erase({e.used, b});
  known_.erase(e.name);
  log_.removed(e.name);
  --spare_;
  if (e.parent != kNone) {
    Entry& p = entries_[e.parent];
    if (--p.children == 0 && p.pins == 0) leaves_.emplace(p.used, e.parent);
  }
  (void)pool_.let_go(e.block);
}

void PrefixCache::touch(Index b) {
  Entry& e = entries_[b];
  const bool leaf = e.children == 0 && e.pins == 0;
  if (leaf) leaves_.erase({e.used, b});
  e.used = uses_;
  if (leaf) leaves_.emplace(e.used, b);
}

void PrefixCache::pin(Index b) {
  for (; b != kNone; b = entries_[b].parent) {
    Entry& e = entries_[b];
    if (e.pins++ > 0) return;
    --spare_;
    if (e.children == 0) leaves_.erase({e.used, b});
  }
}

void PrefixCache::unpin(Index b) {
  for (; b != kNone; b = entries_[b].parent) {
    Entry& e = entries_[b];
    if (--e.pins > 0) return;
    ++spare_;
    if (e.children == 0) leaves_.emplace(e.used, b);
  }
}

}  // namespace sluice::engine
