#include "text/grammar/automaton/behind.h"

#include <algorithm>
#include <array>

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kListed = 1024;  // more are kept as bits

void set(std::span<std::uint64_t> bits, TokenId id) {
  bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(id) % 64);
}

}  // namespace

std::optional<FrameShape> FrameShape::of(const Stacks& stacks, std::span<const Thread> threads,
                                         std::span<const FrameIndex> left, const Rooms& rooms) {
  FrameShape shape;
  std::vector<FrameIndex> frames;
  const auto local = [&](FrameIndex f) {
    const auto at = std::ranges::find(frames, f) - frames.begin();
    if (static_cast<std::size_t>(at) == frames.size()) frames.push_back(f);
    return static_cast<Local>(at);
  };
  if (threads.size() > kFrames) return std::nullopt;
  for (const auto& t : threads) shape.heads_.push_back(local(t.frame));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    auto& item = shape.items_.emplace_back();
    if (std::ranges::find(left, frames[i]) == left.end()) continue;
    item.kind = frames[i] == Stacks::kBottom ? Item::Kind::bottom : Item::Kind::frame;
    if (item.kind == Item::Kind::bottom) continue;
    const auto& f = stacks.frame(frames[i]);
    if (frames.size() + (f.parents_end - f.parents_begin) > kFrames) return std::nullopt;
    item.back = f.back;
    item.room = rooms.of(f.back, f.count);
    item.parents_begin = static_cast<std::uint32_t>(shape.parents_.size());
    for (auto p = f.parents_begin; p < f.parents_end; ++p) shape.parents_.push_back(local(stacks.parent(p)));
    item.parents_end = static_cast<std::uint32_t>(shape.parents_.size());
  }
  return shape;
}

bool FrameShape::fits(const Stacks& stacks, std::span<const Thread> threads, const Rooms& rooms) const {
  if (threads.size() != heads_.size()) return false;
  std::array<FrameIndex, kFrames> frames;  // by local number, as far as they are met
  std::size_t met = 0;
  const auto same = [&](Local local, FrameIndex f) {
    if (local < met) return frames[local] == f;
    frames[met++] = f;
    return true;
  };
  for (std::size_t i = 0; i < heads_.size(); ++i)
    if (!same(heads_[i], threads[i].frame)) return false;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const auto& item = items_[i];
    if (item.kind == Item::Kind::unseen) continue;
    if ((item.kind == Item::Kind::bottom) != (frames[i] == Stacks::kBottom)) return false;
    if (item.kind == Item::Kind::bottom) continue;
    const auto& f = stacks.frame(frames[i]);
    const auto parents = f.parents_end - f.parents_begin;
    if (f.back != item.back || parents != item.parents_end - item.parents_begin) return false;
    if (rooms.of(f.back, f.count) != item.room) return false;
    for (std::uint32_t p = 0; p < parents; ++p)
      if (!same(parents_[item.parents_begin + p], stacks.parent(f.parents_begin + p))) return false;
  }
  return true;
}

Behind::Behind(FrameShape shape, std::vector<Found> found, std::size_t words) : shape_(std::move(shape)) {
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  if (found.size() > kListed && found.front().count == found.back().count) {
    count_ = found.front().count;
    bits_.assign(words, 0);
    for (const auto& f : found) set(bits_, f.id);
    return;
  }
  found.shrink_to_fit();
  found_ = std::move(found);
}

void Behind::add_to(std::span<std::uint64_t> bits, Room room) const {
  if (!bits_.empty() && count_ >= room.to_least && count_ <= room.to_most)
    for (std::size_t i = 0; i < bits_.size(); ++i) bits[i] |= bits_[i];
  auto at = std::ranges::lower_bound(found_, room.to_least, {}, &Found::count);
  for (; at != found_.end() && at->count <= room.to_most; ++at) set(bits, at->id);
}

}  // namespace sluice::text::grammar
