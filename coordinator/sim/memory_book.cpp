#include "coordinator/sim/memory_book.h"

#include <algorithm>

namespace sluice::sim {

using namespace coordinator;

bool fit_together(std::vector<KnownSequence>& all, std::uint32_t pool, std::uint32_t block_size) {
  const auto end = [](const KnownSequence& s) { return s.starts_in + s.left; };
  std::ranges::sort(all, {}, end);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::uint32_t then = end(all[i]);
    std::uint64_t blocks = 0;
    for (std::size_t j = i; j < all.size() && blocks <= pool; ++j) {
      const KnownSequence& s = all[j];
      blocks += blocks_of(s.tokens + (then > s.starts_in ? then - s.starts_in : 0), block_size);
    }
    if (blocks > pool) return false;
  }
  return true;
}

void MemoryBook::begin() {
  held_.resize(scene_.view.decodes.size());
  told_.resize(held_.size());
  for (DecodeView& d : scene_.view.decodes) d.grows = grows();
}

RequestFeatures MemoryBook::asks(const SimRequest& q, std::uint32_t limit, std::uint32_t emitted) const {
  RequestFeatures r{.prompt_tokens = q.prompt_tokens, .max_new_tokens = limit, .emitted = emitted};
  if (grows()) r.stay = expected_stay(lengths_(), emitted, limit);
  return r;
}

void MemoryBook::hold(std::size_t d, std::int64_t blocks) {
  DecodeView& v = scene_.view.decodes[d];
  held_[d] += blocks;
  v.free_blocks = v.total_blocks - static_cast<std::uint32_t>(std::min<std::int64_t>(held_[d], v.total_blocks));
}

DecodePlace MemoryBook::take(const Active& a, std::size_t d) {
  DecodeView& v = scene_.view.decodes[d];
  DecodePlace place = place_on(v, asks(scene_.asked(a), a.limit, a.output));
  hold(d, place.blocks);
  if (forecasts()) v.memory.add(place.part);
  ++v.seqs;
  return place;
}

void MemoryBook::give(const DecodePlace& place, std::size_t d) {
  DecodeView& v = scene_.view.decodes[d];
  hold(d, -std::int64_t{place.blocks});
  --v.seqs;
  if (!forecasts()) return;
  v.memory.remove(place.part);
  v.memory.ended();
}

void MemoryBook::grow(Active& a, std::uint32_t tokens) {
  DecodeView& v = scene_.view.decodes[a.k.decode];
  const DecodePlace before = a.place;
  if (forecasts()) {
    a.place = place_on(v, asks(scene_.asked(a), a.limit, tokens));
    v.memory.replace(before.part, a.place.part);
  } else {
    a.place.blocks = blocks_of(std::uint64_t{scene_.asked(a).prompt_tokens} + tokens, v.block_size);
    a.place.grows_at = a.place.blocks * v.block_size + 1;
  }
  hold(a.k.decode, std::int64_t{a.place.blocks} - before.blocks);
}

void MemoryBook::told(std::size_t d, std::uint32_t parked, std::uint64_t preempted) {
  DecodeView& v = scene_.view.decodes[d];
  told_[d] = parked > 0;
  v.closed = told_[d];
  if (forecasts() && preempted > 0) v.memory.preempted(preempted);
}

}  // namespace sluice::sim
