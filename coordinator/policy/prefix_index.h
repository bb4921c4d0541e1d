#pragma once
// Which prefixes of prompts nodes have computed and kept, as they tell: a set of names for each node. What it says of a
// prompt is what to expect, never what is: a node may have let go of blocks since, and looks for itself.
//
// A cache lets go of a block before the one it continues, so the names of a node are closed: with a block's name come
// those of all blocks before it. How long a hit is, is found by halving. Of names that are not closed for a while, as
// events come, a shorter or longer hit may be found, which costs time and never an answer.
//
// Pure; not thread-safe. A node that tells more names than it has blocks is not believed: it has nothing.
#include <cstdint>
#include <map>
#include <span>
#include <unordered_set>
#include <vector>

#include "common/ids.h"
#include "common/prefix/name.h"

namespace sluice::coordinator {

class PrefixIndex {
 public:
  /// A node that keeps prefixes, with none yet; or one that begins anew. most: blocks that it has at all.
  void begin(const NodeId& node, std::size_t most);
  /// It is gone.
  void forget(const NodeId& node) { nodes_.erase(node); }
  void stored(const NodeId& node, std::span<const prefix::PrefixName> names);
  void removed(const NodeId& node, std::span<const prefix::PrefixName> names);

  /// Of the blocks that these name one after another, how many from the first on each of `nodes` has; in their order.
  void match(std::span<const prefix::PrefixName> chain, std::span<const NodeId> nodes,
             std::vector<std::uint32_t>& blocks) const;
  /// Whether one of these nodes has it.
  [[nodiscard]] bool known(const prefix::PrefixName& name, std::span<const NodeId> nodes) const;
  /// Names known of a node.
  [[nodiscard]] std::size_t size(const NodeId& node) const;
  /// Of all nodes.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

 private:
  struct Held {
    std::size_t most = 0;
    std::unordered_set<prefix::PrefixName> names;
    [[nodiscard]] std::uint32_t length(std::span<const prefix::PrefixName> chain) const;
  };
  std::map<NodeId, Held> nodes_;
};

}  // namespace sluice::coordinator
