#include "text/grammar/automaton/token_trie.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice::text::grammar {

TokenTrie::TokenTrie(std::span<const std::string> bytes) : heads_(256, 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (!bytes[i].empty()) ids_.push_back(static_cast<TokenId>(i));
  std::ranges::sort(ids_, {},
                    [&](TokenId id) { return std::pair(std::string_view(bytes[static_cast<std::size_t>(id)]), id); });

  nodes_.push_back({});
  std::vector<std::uint32_t> path{0};  // nodes from the root to the last token
  const auto close = [&](std::size_t depth) {
    while (path.size() > depth) {
      nodes_[path.back()].skip = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  std::string_view last;
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    const std::string_view token = bytes[static_cast<std::size_t>(ids_[i])];
    if (i > 0 && token == last) continue;
    const auto shared = static_cast<std::size_t>(std::ranges::mismatch(token, last).in1 - token.begin());
    close(shared + 1);
    for (auto d = shared; d < token.size(); ++d) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      // A node's tokens come before those below it and behind those of earlier nodes.
      nodes_.push_back({.tokens = static_cast<std::uint32_t>(i),
                        .depth = static_cast<std::uint32_t>(d + 1),
                        .byte = static_cast<std::uint8_t>(token[d])});
    }
    deepest_ = std::max(deepest_, static_cast<std::uint32_t>(token.size()));
    last = token;
  }
  close(0);
  const auto end = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({.skip = end, .tokens = static_cast<std::uint32_t>(ids_.size())});
  for (std::uint32_t i = 1; i < end; i = nodes_[i].skip) heads_[nodes_[i].byte] = i;
}

}  // namespace sluice::text::grammar
