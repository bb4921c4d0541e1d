#include "text/grammar/automaton/utf8_graph.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <utility>

namespace sluice::text::grammar {
namespace {

struct ByteRange {
  std::uint8_t first = 0, last = 0;
  bool operator==(const ByteRange&) const = default;
};
/// The bytes of a run of code points whose encodings differ in ranges alone.
struct Spelling {
  std::array<ByteRange, 4> bytes{};
  std::uint8_t size = 0;
};

std::uint8_t encode(char32_t c, std::array<std::uint8_t, 4>& out) {
  const auto tail = [c](unsigned shift) { return static_cast<std::uint8_t>(0x80U | ((c >> shift) & 0x3FU)); };
  if (c < 0x80) {
    out = {static_cast<std::uint8_t>(c)};
    return 1;
  }
  if (c < 0x800) {
    out = {static_cast<std::uint8_t>(0xC0U | (c >> 6U)), tail(0)};
    return 2;
  }
  if (c < 0x10000) {
    out = {static_cast<std::uint8_t>(0xE0U | (c >> 12U)), tail(6), tail(0)};
    return 3;
  }
  out = {static_cast<std::uint8_t>(0xF0U | (c >> 18U)), tail(12), tail(6), tail(0)};
  return 4;
}

/// [first, last] of one encoded length, cut where a byte's range would not be full below it.
void spell(char32_t first, char32_t last, std::vector<Spelling>& out) {
  for (unsigned bits = 6; bits <= 18; bits += 6) {
    const char32_t low = (char32_t{1} << bits) - 1;
    if ((first & ~low) == (last & ~low)) continue;
    if ((first & low) != 0) {
      spell(first, first | low, out);
      return spell((first | low) + 1, last, out);
    }
    if ((last & low) != low) {
      spell(first, (last & ~low) - 1, out);
      return spell(last & ~low, last, out);
    }
  }
  std::array<std::uint8_t, 4> a{}, b{};
  Spelling s;
  s.size = encode(first, a);
  encode(last, b);
  for (std::size_t i = 0; i < s.size; ++i) s.bytes[i] = {a[i], b[i]};
  out.push_back(s);
}

std::vector<Spelling> spellings(const CodePointSet& set) {
  static constexpr std::array<CodePointRange, 5> kLengths{
      {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, CodePointSet::kMax}}};
  std::vector<Spelling> out;
  for (const auto& r : set.ranges()) {
    for (const auto& l : kLengths) {
      const auto first = std::max(r.first, l.first);
      const auto last = std::min(r.last, l.last);
      if (first <= last) spell(first, last, out);
    }
  }
  return out;
}

class GraphMaker {
 public:
  Utf8Graph make(std::span<const Spelling> all) {
    graph_.start = node(all, 0);
    return std::move(graph_);
  }

 private:
  /// Spellings that begin alike stand together, and those that don't are disjoint in their first byte.
  std::uint32_t node(std::span<const Spelling> all, std::size_t at) {
    std::vector<Utf8Graph::Edge> edges;
    for (std::size_t i = 0; i < all.size();) {
      const auto range = all[i].bytes[at];
      std::size_t end = i + 1;
      while (end < all.size() && all[end].bytes[at] == range && all[end].size > at + 1) ++end;
      const auto to = all[i].size == at + 1 ? Utf8Graph::kExit : node(all.subspan(i, end - i), at + 1);
      if (!edges.empty() && edges.back().to == to && edges.back().last + 1 == range.first)
        edges.back().last = range.last;
      else
        edges.push_back({range.first, range.last, to});
      i = end;
    }
    const auto [known, fresh] = ids_.try_emplace(edges, static_cast<std::uint32_t>(graph_.nodes.size()));
    if (fresh) graph_.nodes.push_back(std::move(edges));
    return known->second;
  }

  Utf8Graph graph_;
  std::map<std::vector<Utf8Graph::Edge>, std::uint32_t> ids_;
};

}  // namespace

Utf8Graph utf8_graph(const CodePointSet& set) { return GraphMaker().make(spellings(set)); }

}  // namespace sluice::text::grammar
