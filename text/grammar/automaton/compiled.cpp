#include "text/grammar/automaton/compiled.h"

#include <algorithm>
#include <utility>

#include "text/grammar/automaton/network_maker.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMaskBytes = 64U << 20U;
constexpr std::size_t kBehindBytes = 16U << 20U;
constexpr std::size_t kShapes = 32;  // of stacks under one place and what called it
constexpr std::size_t kWarmed = 8;   // masks made by compile()

}  // namespace

Walk& thread_walk() {
  thread_local Walk walk;
  return walk;
}

Compiled::Compiled(Network network, std::shared_ptr<const Vocabulary> vocabulary)
    : net_(std::move(network)), vocabulary_(std::move(vocabulary)), rooms_(net_, vocabulary_->trie().deepest()) {
  const auto& trie = vocabulary_->trie();
  std::vector<std::uint32_t> sums(257, 0);
  for (std::size_t b = 0; b < 256; ++b) sums[b + 1] = sums[b] + trie.below(static_cast<std::uint8_t>(b));
  weights_.reserve(net_.places.size());
  for (const auto& p : net_.places) {
    std::uint32_t weight = 0;
    for (const auto& e : net_.edges_of(p)) weight += sums[e.last + 1U] - sums[e.first];
    weights_.push_back(weight);
  }
}

Compiled::Key Compiled::key_of(Thread t) const {
  const auto& unit = net_.units[net_.places[t.place].unit];
  if (unit.flat) return {unit.twin + (t.place - unit.start), {}};
  return {t.place, room(t)};
}

Compiled::Key Compiled::key_of(Thread t, const Stacks& stacks) const {
  auto key = key_of(t);
  key.back = t.frame == Stacks::kBottom ? ~PlaceIndex{0} : stacks.frame(t.frame).back;
  return key;
}

std::shared_ptr<const PlaceMask> Compiled::mask(Thread t) const {
  const auto key = key_of(t);
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = masks_.find(key); at != masks_.end()) return at->second;
  }
  const auto& trie = vocabulary_->trie();
  const auto words = vocabulary_->mask_words();
  auto made = std::make_shared<const PlaceMask>(net_.units[net_.places[t.place].unit].flat
                                                    ? PlaceMask::make_counted(net_, trie, words, t.place)
                                                    : PlaceMask::make(net_, trie, words, t, thread_walk()));
  const std::lock_guard lock(mutex_);
  if (mask_bytes_ + made->memory_bytes() > kMaskBytes) {
    masks_.clear();
    mask_bytes_ = 0;
  }
  if (masks_.try_emplace(key, made).second) mask_bytes_ += made->memory_bytes();
  return made;
}

std::shared_ptr<const Behind> Compiled::behind(std::span<const Thread> threads, const Stacks& stacks) const {
  const auto key = key_of(threads.front(), stacks);
  const std::lock_guard lock(mutex_);
  const auto at = behind_.find(key);
  if (at == behind_.end()) return nullptr;
  for (const auto& b : at->second)
    if (b->shape().fits(stacks, threads, rooms_)) return b;
  return nullptr;
}

void Compiled::remember(std::span<const Thread> threads, const Stacks& stacks,
                        std::shared_ptr<const Behind> behind) const {
  const auto key = key_of(threads.front(), stacks);
  const auto bytes = behind->memory_bytes();
  const std::lock_guard lock(mutex_);
  if (behind_bytes_ + bytes > kBehindBytes) {
    behind_.clear();
    behind_bytes_ = 0;
  }
  auto& list = behind_[key];
  if (list.size() == kShapes) {
    behind_bytes_ -= list.front()->memory_bytes();
    list.erase(list.begin());
  }
  list.push_back(std::move(behind));
  behind_bytes_ += bytes;
}

void Compiled::warm() const {
  std::vector<Thread> heavy;
  for (PlaceIndex p = 0; p < net_.places.size(); ++p) {
    if (weights_[p] <= vocabulary_->trie().size() / 16) continue;
    // A count far from both bounds, where there is one.
    const auto& unit = net_.units[net_.places[p].unit];
    if (!unit.flat || unit.twin == unit.start)
      heavy.push_back({p, unit.counts ? std::min(unit.least, unit.most - 1) : 0});
  }
  std::ranges::sort(heavy, {}, [&](Thread t) { return std::pair(~weights_[t.place], t.place); });
  if (heavy.size() > kWarmed) heavy.resize(kWarmed);
  for (const auto t : heavy) static_cast<void>(mask(t));
}

std::size_t Compiled::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  return sizeof *this + net_.memory_bytes() + weights_.size() * 4 + mask_bytes_ + behind_bytes_;
}

Automaton::Automaton(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Automaton::~Automaton() = default;

Result<std::shared_ptr<const Automaton>> Automaton::compile(const Grammar& grammar,
                                                            std::shared_ptr<const Vocabulary> vocabulary,
                                                            const GrammarLimits& limits) {
  SLUICE_ASSIGN(auto network, make_network(grammar, limits));
  auto impl = std::make_unique<const Impl>(std::move(network), std::move(vocabulary));
  impl->compiled.warm();
  return std::shared_ptr<const Automaton>(new Automaton(std::move(impl)));
}

Result<> Automaton::check(const Grammar& grammar, const GrammarLimits& limits) {
  return check_network(grammar, limits);
}

std::size_t Automaton::memory_bytes() const { return impl_->compiled.memory_bytes(); }

}  // namespace sluice::text::grammar
