#include "text/grammar/automaton/stacks.h"

#include <algorithm>

namespace sluice::text::grammar {

Stacks::Stacks() : frames_(1), slots_(16, kBottom) {}

std::size_t Stacks::hash(PlaceIndex back, std::uint32_t count, std::span<const FrameIndex> parents) const {
  std::uint64_t h = (std::uint64_t{back} << 32U | count) * 0x9E3779B97F4A7C15ULL;
  for (const auto p : parents) h = (h ^ (h >> 32U) ^ p) * 0x9E3779B97F4A7C15ULL;
  return h ^ (h >> 32U);
}

FrameIndex Stacks::push(PlaceIndex back, std::uint32_t count, std::span<const FrameIndex> parents) {
  const auto mask = slots_.size() - 1;
  for (auto at = hash(back, count, parents) & mask; slots_[at] != kBottom; at = (at + 1) & mask) {
    const auto& f = frames_[slots_[at]];
    if (f.back == back && f.count == count && std::ranges::equal(parents_of(f), parents)) return slots_[at];
  }
  const auto begin = static_cast<std::uint32_t>(parents_.size());
  parents_.insert(parents_.end(), parents.begin(), parents.end());
  frames_.push_back({back, count, begin, static_cast<std::uint32_t>(parents_.size())});
  if (frames_.size() * 2 > slots_.size())
    rebuild(slots_.size() * 2);
  else
    enter(mark() - 1);
  return mark() - 1;
}

void Stacks::enter(FrameIndex i) {
  const auto& f = frames_[i];
  const auto mask = slots_.size() - 1;
  auto at = hash(f.back, f.count, parents_of(f)) & mask;
  while (slots_[at] != kBottom) at = (at + 1) & mask;
  slots_[at] = i;
}

void Stacks::rebuild(std::size_t slots) {
  slots_.assign(slots, kBottom);
  for (FrameIndex i = 1; i < frames_.size(); ++i) enter(i);
}

void Stacks::release(FrameIndex mark) {
  // Last entered first: no probe of an older frame leads over a slot that is freed.
  const auto mask = slots_.size() - 1;
  while (frames_.size() > mark) {
    const auto i = this->mark() - 1;
    const auto& f = frames_[i];
    auto at = hash(f.back, f.count, parents_of(f)) & mask;
    while (slots_[at] != i) at = (at + 1) & mask;
    slots_[at] = kBottom;
    parents_.resize(f.parents_begin);
    frames_.pop_back();
  }
}

void Stacks::collect(std::span<FrameIndex* const> live) {
  std::vector<FrameIndex> becomes(frames_.size(), kBottom);
  for (const auto* f : live) becomes[*f] = 1;
  for (auto i = mark(); i-- > 1;) {
    if (becomes[i] == kBottom) continue;
    for (const auto p : parents_of(frames_[i])) becomes[p] = 1;
  }
  becomes[kBottom] = kBottom;
  std::vector<Frame> frames(1);
  std::vector<FrameIndex> parents;
  for (FrameIndex i = 1; i < frames_.size(); ++i) {
    if (becomes[i] == kBottom) continue;
    auto f = frames_[i];
    const auto begin = static_cast<std::uint32_t>(parents.size());
    for (const auto p : parents_of(f)) parents.push_back(becomes[p]);
    f.parents_begin = begin;
    f.parents_end = static_cast<std::uint32_t>(parents.size());
    becomes[i] = static_cast<FrameIndex>(frames.size());
    frames.push_back(f);
  }
  for (auto* f : live) *f = becomes[*f];
  frames_ = std::move(frames);
  parents_ = std::move(parents);
  std::size_t slots = 16;
  while (slots < frames_.size() * 4) slots *= 2;
  rebuild(slots);
}

}  // namespace sluice::text::grammar
