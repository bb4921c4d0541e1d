#include "text/grammar/automaton/place_mask.h"

#include <algorithm>
#include <array>

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kListed = 1024;  // ids; more are kept as bits

void set(std::span<std::uint64_t> bits, TokenId id) {
  bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (static_cast<unsigned>(id) % 64);
}

/// Where each byte leads from the places of a flat unit.
class FlatSteps {
 public:
  FlatSteps(const Network& network, const Unit& unit) : start_(unit.start) {
    const auto index = network.places[unit.start].unit;
    for (auto p = unit.start; p < network.places.size() && network.places[p].unit == index; ++p) {
      auto& row = rows_.emplace_back();
      row.fill(kNone);
      for (const auto& e : network.edges_of(network.places[p]))
        for (unsigned b = e.first; b <= e.last; ++b) row[b] = network.places[e.to].final ? kDone : e.to - start_;
    }
  }
  static constexpr std::uint32_t kNone = 0xFFFFFFFF, kDone = 0xFFFFFFFE;
  /// By places counted from the unit's first.
  [[nodiscard]] std::uint32_t next(std::uint32_t place, std::uint8_t byte) const { return rows_[place][byte]; }

 private:
  PlaceIndex start_;
  std::vector<std::array<std::uint32_t, 256>> rows_;
};

}  // namespace

PlaceMask PlaceMask::make(const Network& network, const TokenTrie& trie, std::size_t words, Thread from, Walk& walk) {
  PlaceMask m;
  Stacks stacks;
  std::vector<Left> left;
  from.frame = Stacks::kBottom;
  walk.begin(network, trie, stacks);
  const auto start = walk.enter({.threads = {from}, .bottom = false});
  const auto met = [&](std::uint32_t node, Walk::SetIndex set) {
    for (const auto id : trie.tokens(node)) m.ids_.push_back(id);
    if (walk.reaches_bottom(set) && trie.node(node).skip > node + 1) left.push_back({node, 0});
  };
  walk.run_all(start, met);
  m.work_ = walk.work();
  if (walk.exhausted()) {
    // Too ambiguous to look at whole tokens: those of one byte are offered, which can spell any text.
    m.ids_.clear();
    left.clear();
    for (std::uint32_t i = 1; i < trie.size(); i = trie.node(i).skip) {
      if (!walk.reads(start, trie.node(i).byte)) continue;
      for (const auto id : trie.tokens(i)) m.ids_.push_back(id);
    }
  }
  if (m.ids_.size() > kListed) {
    m.bits_.assign(words, 0);
    for (const auto id : m.ids_) set(m.bits_, id);
    m.ids_.clear();
  }
  m.ids_.shrink_to_fit();
  m.index(trie, left, false);
  return m;
}

PlaceMask PlaceMask::make_counted(const Network& network, const TokenTrie& trie, std::size_t words, PlaceIndex from) {
  struct Position {
    std::uint32_t place = 0, count = 0;
  };
  PlaceMask m;
  const auto& unit = network.units[network.places[from].unit];
  const FlatSteps steps(network, unit);
  std::vector<Position> at(trie.deepest() + 1);
  at[0].place = from - unit.start;
  std::vector<Left> left;
  std::vector<std::vector<TokenId>> by_count;
  for (std::uint32_t i = 1; i < trie.size();) {
    const auto& node = trie.node(i);
    auto [place, count] = at[node.depth - 1];
    place = steps.next(place, node.byte);
    if (place == FlatSteps::kNone) {
      i = node.skip;
      continue;
    }
    const bool done = place == FlatSteps::kDone;
    at[node.depth] = done ? Position{0, count + 1} : Position{place, count};
    if (done && node.skip > i + 1) left.push_back({i, count + 1});
    if (by_count.size() < count + 2) by_count.resize(count + 2);
    for (const auto id : trie.tokens(i)) by_count[count + 1].push_back(id);
    ++i;
  }
  m.bits_.assign(words, 0);
  for (const auto& ids : by_count) {
    for (const auto id : ids) set(m.bits_, id);
    m.ids_.insert(m.ids_.end(), ids.begin(), ids.end());
    m.upto_.push_back(static_cast<std::uint32_t>(m.ids_.size()));
  }
  m.ids_.shrink_to_fit();
  m.index(trie, left, true);
  return m;
}

void PlaceMask::index(const TokenTrie& trie, std::span<const Left> left, bool counted) {
  if (left.empty()) return;
  const auto each = [&](auto&& visit) {
    for (const auto& l : left)
      for (auto c = l.node + 1; c < trie.node(l.node).skip; c = trie.node(c).skip) visit(trie.node(c).byte, c, l.count);
  };
  first_.assign(257, 0);
  each([&](std::uint8_t byte, std::uint32_t, std::uint32_t) { ++first_[byte + 1U]; });
  for (std::size_t b = 0; b < 256; ++b) first_[b + 1] += first_[b];
  behind_.resize(first_[256]);
  if (counted) counts_.resize(first_[256]);
  auto next = first_;
  each([&](std::uint8_t byte, std::uint32_t child, std::uint32_t count) {
    if (counted) counts_[next[byte]] = count;
    behind_[next[byte]++] = child;
  });
}

void PlaceMask::write_to(std::span<std::uint64_t> bits, Room room) const {
  const auto ids = std::span(ids_);
  const auto fits = counted() ? fit(room) : ids.size();
  if (bits_.empty() || fits < ids.size() / 2) {
    std::ranges::fill(bits, 0);
    for (const auto id : ids.first(fits)) set(bits, id);
    return;
  }
  std::ranges::copy(bits_, bits.begin());
  for (const auto id : ids.subspan(fits))
    bits[static_cast<std::size_t>(id) / 64] &= ~(std::uint64_t{1} << (static_cast<unsigned>(id) % 64));
}

void PlaceMask::add_to(std::span<std::uint64_t> bits, Room room) const {
  const auto add = [&](std::span<const std::uint64_t> more) {
    for (std::size_t i = 0; i < more.size(); ++i) bits[i] |= more[i];
  };
  const auto ids = std::span(ids_);
  const auto fits = counted() ? fit(room) : ids.size();
  if (bits_.empty() || fits < ids.size() / 2) {
    for (const auto id : ids.first(fits)) set(bits, id);
  } else if (fits == ids.size()) {
    add(bits_);
  } else {
    std::vector<std::uint64_t> own(bits_.size());
    write_to(own, room);
    add(own);
  }
}

}  // namespace sluice::text::grammar
