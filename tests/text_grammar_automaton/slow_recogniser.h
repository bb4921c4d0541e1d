#pragma once
// The meaning of a grammar, spelled out: which ends a node has from a position of a text. Slow, and shares no code with
// the automaton.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/grammar.h"

namespace sluice::text::grammar::test {

class SlowRecogniser {
 public:
  explicit SlowRecogniser(const Grammar& grammar);

  struct Verdict {
    bool whole = false;   // a text of the grammar
    bool prefix = false;  // ... begins with it, or it is one
    bool longer = false;  // ... begins with it and goes on
  };
  Verdict judge(std::string_view text);

 private:
  using Ends = std::set<std::size_t>;
  const Ends& ends(NodeIndex node, std::size_t from);
  void literal(const Node& n, std::size_t from, Ends& out);
  void chars(const Node& n, std::size_t from, Ends& out);
  void repeat(const Node& n, std::size_t from, Ends& out);

  const Grammar& g_;
  std::vector<bool> matches_;  // by node: some text
  std::string_view text_;
  bool open_ = false;  // something wanted to read past the end of the text
  std::map<std::pair<NodeIndex, std::size_t>, Ends> known_;
};

}  // namespace sluice::text::grammar::test
