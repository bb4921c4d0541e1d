#pragma once
// A set of code points as a graph of UTF-8 bytes: from the first node every path to the exit spells one of them.
#include <cstdint>
#include <vector>

#include "text/unicode/code_point_set.h"

namespace sluice::text::grammar {

struct Utf8Graph {
  static constexpr std::uint32_t kExit = 0xFFFFFFFF;
  struct Edge {
    std::uint8_t first = 0, last = 0;
    std::uint32_t to = kExit;
    auto operator<=>(const Edge&) const = default;
  };
  std::vector<std::vector<Edge>> nodes;  // edges ascending, disjoint
  std::uint32_t start = 0;
};

/// Surrogates, which UTF-8 cannot spell, are left out. Nodes with equal continuations are one.
[[nodiscard]] Utf8Graph utf8_graph(const CodePointSet& set);

}  // namespace sluice::text::grammar
