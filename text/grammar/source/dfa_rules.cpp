// A deterministic automaton as rules: one for a state that several ways lead to, the others within those before them.
#include <map>
#include <optional>
#include <utility>

#include "text/grammar/source/dfa.h"

namespace sluice::text::grammar {
namespace {

class Rules {
 public:
  Rules(const Dfa& dfa, Spelling& spelling, const std::string& name)
      : dfa_(dfa), spelling_(spelling), g_(spelling.grammar()), name_(name), rules_(dfa.states()) {
    edges_.resize(dfa.states());
    std::vector<std::size_t> ways(dfa.states(), 0);
    ways[0] = 1;
    for (Dfa::State s = 0; s < dfa.states(); ++s) {
      for (std::size_t c = 0; c < dfa.classes().size(); ++c)
        if (const auto to = dfa.next(s, c); to != Dfa::kNone) edges_[s][to] |= dfa.classes()[c];
      for (const auto& [to, set] : edges_[s])
        if (to != s) ++ways[to];
    }
    for (Dfa::State s = 0; s < dfa.states(); ++s) shared_.push_back(ways[s] > 1 && !edges_[s].empty());
  }

  NodeIndex run() {
    const auto root = state(0, 0);
    while (!open_.empty()) {
      const auto s = open_.back();
      open_.pop_back();
      g_.define(*rules_[s], body(s, 0));
    }
    return root;
  }

 private:
  /// What may follow in state s, which so many others contain in place.
  NodeIndex state(Dfa::State s, std::size_t depth) {
    constexpr std::size_t kDeepest = 24;
    if (!shared_[s] && !rules_[s] && depth < kDeepest) return body(s, depth);
    if (!rules_[s]) {
      rules_[s] = g_.declare(name_);
      open_.push_back(s);
    }
    return g_.rule(*rules_[s]);
  }

  NodeIndex body(Dfa::State s, std::size_t depth) {
    std::vector<NodeIndex> ways;
    std::optional<NodeIndex> loop;
    for (const auto& [to, set] : edges_[s]) {
      if (to == s) {
        loop = g_.repeat(spelling_.one_of(set), 0);
        continue;
      }
      const auto character = spelling_.one_of(set);
      const bool end = edges_[to].empty();
      ways.push_back(end ? character : g_.sequence({character, state(to, depth + 1)}));
    }
    if (ways.empty()) return loop ? *loop : g_.literal("");
    if (dfa_.accepts(s)) ways.push_back(g_.literal(""));
    const auto rest = g_.choice(std::move(ways));
    return loop ? g_.sequence({*loop, rest}) : rest;
  }

  const Dfa& dfa_;
  Spelling& spelling_;
  Grammar& g_;
  const std::string& name_;
  std::vector<std::map<Dfa::State, CodePointSet>> edges_;
  std::vector<bool> shared_;
  std::vector<std::optional<RuleIndex>> rules_;
  std::vector<Dfa::State> open_;
};

}  // namespace

NodeIndex add_dfa(const Dfa& dfa, Spelling& spelling, const std::string& name) {
  const auto tidy = dfa.tidied();
  if (tidy.states() == 0) return spelling.grammar().choice({});
  return Rules(tidy, spelling, name).run();
}

}  // namespace sluice::text::grammar
