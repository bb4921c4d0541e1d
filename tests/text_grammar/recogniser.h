#pragma once
// What a grammar means, without an automaton: slow, and plain enough to be believed. Membership by trying all ways with
// a memory of (node, place); random texts by walking the nodes.
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/grammar.h"

namespace sluice::text::grammar::test {

class Recogniser {
 public:
  explicit Recogniser(const Grammar& grammar) : g_(grammar) {}
  [[nodiscard]] bool accepts(std::string_view text);

 private:
  using Ends = std::set<std::size_t>;
  const Ends& ends(NodeIndex node, std::size_t at);
  Ends find(NodeIndex node, std::size_t at);
  Ends after(NodeIndex node, const Ends& from);

  const Grammar& g_;
  std::string_view text_;
  std::map<std::pair<NodeIndex, std::size_t>, Ends> known_;
};

class Walker {
 public:
  Walker(const Grammar& grammar, std::uint64_t seed);
  /// A text that the grammar matches; beyond `size` bytes the shortest way to the end is taken.
  [[nodiscard]] std::string walk(std::size_t size);

 private:
  void visit(NodeIndex node);
  [[nodiscard]] std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }
  [[nodiscard]] char32_t pick(const CodePointSet& set);

  const Grammar& g_;
  std::mt19937_64 random_;
  std::vector<std::uint64_t> cost_;  // of the shortest text, in characters and rules
  std::string out_;
  std::size_t size_ = 0, depth_ = 0;
};

}  // namespace sluice::text::grammar::test
