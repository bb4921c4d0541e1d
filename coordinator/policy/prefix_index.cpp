#include "coordinator/policy/prefix_index.h"

#include <algorithm>
#include <ranges>

namespace sluice::coordinator {

using prefix::PrefixName;

void PrefixIndex::begin(const NodeId& node, std::size_t most) {
  Held& h = nodes_[node];
  h.most = most;
  h.names.clear();
}

void PrefixIndex::stored(const NodeId& node, std::span<const PrefixName> names) {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return;
  Held& h = it->second;
  for (const PrefixName& n : names) {
    if (h.names.size() == h.most && !h.names.contains(n)) return h.names.clear();
    h.names.insert(n);
  }
}

void PrefixIndex::removed(const NodeId& node, std::span<const PrefixName> names) {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return;
  for (const PrefixName& n : names) it->second.names.erase(n);
}

std::uint32_t PrefixIndex::Held::length(std::span<const PrefixName> chain) const {
  if (chain.empty() || !names.contains(chain.front())) return 0;
  const auto held = std::views::iota(std::size_t{1}, chain.size());
  const auto first_lacking =
      std::ranges::partition_point(held, [&](std::size_t i) { return names.contains(chain[i]); });
  return static_cast<std::uint32_t>(first_lacking == held.end() ? chain.size() : *first_lacking);
}

void PrefixIndex::match(std::span<const PrefixName> chain, std::span<const NodeId> nodes,
                        std::vector<std::uint32_t>& blocks) const {
  blocks.clear();
  for (const NodeId& n : nodes) {
    const auto it = nodes_.find(n);
    blocks.push_back(it == nodes_.end() ? 0 : it->second.length(chain));
  }
}

bool PrefixIndex::known(const PrefixName& name, std::span<const NodeId> nodes) const {
  return std::ranges::any_of(nodes, [&](const NodeId& n) {
    const auto it = nodes_.find(n);
    return it != nodes_.end() && it->second.names.contains(name);
  });
}

std::size_t PrefixIndex::size(const NodeId& node) const {
  const auto it = nodes_.find(node);
  return it == nodes_.end() ? 0 : it->second.names.size();
}

std::size_t PrefixIndex::size() const noexcept {
  std::size_t all = 0;
  for (const auto& [node, held] : nodes_) all += held.names.size();
  return all;
}

}  // namespace sluice::coordinator
