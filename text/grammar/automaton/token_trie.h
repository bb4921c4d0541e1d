#pragma once
// A vocabulary's tokens as a tree of bytes, laid out in the order of a depth-first walk: a walk goes up through one
// array, and leaves a branch out by one jump. Const once made; any thread.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"

namespace sluice::text::grammar {

class TokenTrie {
 public:
  struct Node {
    std::uint32_t skip = 0;    // the first node that is not below this one
    std::uint32_t tokens = 0;  // its tokens are ids()[tokens .. next node's tokens)
    std::uint32_t depth = 0;   // bytes from the root
    std::uint8_t byte = 0;     // the last of them
  };

  /// Tokens without bytes have no place in it.
  explicit TokenTrie(std::span<const std::string> bytes);

  /// [0] is the root; one past the end stands a guard.
  [[nodiscard]] const Node& node(std::size_t i) const noexcept { return nodes_[i]; }
  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(nodes_.size() - 1); }
  [[nodiscard]] std::span<const TokenId> tokens(std::size_t i) const noexcept {
    return std::span(ids_).subspan(nodes_[i].tokens, nodes_[i + 1].tokens - nodes_[i].tokens);
  }
  [[nodiscard]] std::uint32_t deepest() const noexcept { return deepest_; }
  /// The root's child of a byte; 0: none.
  [[nodiscard]] std::uint32_t head(std::uint8_t byte) const noexcept { return heads_[byte]; }
  /// How many nodes are at and below it.
  [[nodiscard]] std::uint32_t below(std::uint8_t byte) const noexcept {
    return heads_[byte] == 0 ? 0 : nodes_[heads_[byte]].skip - heads_[byte];
  }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return nodes_.size() * sizeof(Node) + ids_.size() * 4; }

 private:
  std::vector<Node> nodes_;
  std::vector<TokenId> ids_;
  std::vector<std::uint32_t> heads_;  // [256]
  std::uint32_t deepest_ = 0;
};

}  // namespace sluice::text::grammar
