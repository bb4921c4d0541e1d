#pragma once
// KV blocks by the names of the prefixes that they end (docs/adr/0014-kv-computed-once.md). A block whose KV is
// computed is published; whoever comes later with the same names gets the same blocks. The cache holds one reference to
// each block that it knows, so blocks stay when their sequences end, for as long as nobody needs their room: the
// allocator asks for it (BlockKeeper).
//
// What goes first is the least recently used block that no known one continues, so what is known is found from its
// beginning on. A block that somebody holds does not go, nor does one before it.
//
// Costs: O(log n) for a block that is published or evicted, O(1) for one that is found, on average.
// Threading: none; the owner serialises calls, as those of the allocator. Two runs over the same events do the same.
// Failure: none; what cannot be kept is not known.
#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/prefix/name.h"
#include "engine/policy/block_allocator.h"
#include "engine/policy/prefix_log.h"

namespace sluice::engine {

struct PrefixCacheCounters {
  std::uint32_t blocks = 0;          // known now
  std::uint64_t queried_tokens = 0;  // of prompts that were looked for
  std::uint64_t hit_tokens = 0;      // of those, what was there
  std::uint64_t evicted_blocks = 0;
};

class PrefixCache final : public BlockKeeper {
 public:
  using Chain = std::span<const prefix::PrefixName>;  // the name after each block of a prompt

  /// `pool` outlives this.
  explicit PrefixCache(BlockAllocator& pool);
  ~PrefixCache() override;
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// The blocks of the longest beginning of the chain that is known, a reference each for the caller.
  [[nodiscard]] std::vector<BlockHandle> acquire(Chain chain);
  /// The KV of a sequence's first chain.size() blocks is computed; those before `from` were published before. A name
  /// that is known keeps the block that it has.
  void publish(Chain chain, std::span<const BlockHandle> blocks, std::size_t from);
  /// A prompt was admitted: acquire() may be asked oftener than that.
  void count(std::uint64_t queried_tokens, std::uint64_t hit_tokens) noexcept;
  [[nodiscard]] PrefixCacheCounters counters() const noexcept;
  /// What became of its names from change `from` on (PrefixLog); 0, or too long ago: all that are known.
  [[nodiscard]] PrefixChanges changes_since(std::uint64_t from) const;

  // BlockKeeper
  void on_idle(BlockId b) override;
  void on_used(BlockId b) override;
  [[nodiscard]] std::uint32_t spare() const noexcept override { return spare_; }
  void give_up(std::uint32_t n) override;

 private:
  using Index = std::uint32_t;  // of a block
  static constexpr Index kNone = ~Index{0};
  struct Entry {
    prefix::PrefixName name;
    BlockHandle block;
    Index parent = kNone;
    std::uint32_t children = 0;  // known blocks that continue it
    std::uint32_t pins = 0;      // who keeps it here: others that hold it (once), and each pinned child
    std::uint64_t used = 0;
  };

  [[nodiscard]] bool knows(const prefix::PrefixName& name) const { return known_.contains(name); }
  /// All that comes and goes does so here.
  [[nodiscard]] bool add(const prefix::PrefixName& name, BlockHandle block, Index parent);
  void remove(Index b);
  void touch(Index b);
  void pin(Index b);
  void unpin(Index b);

  BlockAllocator& pool_;
  std::vector<Entry> entries_;  // by block
  std::unordered_map<prefix::PrefixName, Index> known_;
  std::set<std::pair<std::uint64_t, Index>> leaves_;  // without children and pins, by last use
  std::uint32_t spare_ = 0;                           // entries without pins: their descendants have none either
  std::uint64_t uses_ = 0;
  PrefixCacheCounters counters_;
  PrefixLog log_;
};

}  // namespace sluice::engine
