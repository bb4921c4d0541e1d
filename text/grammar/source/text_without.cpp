// Text in which certain texts do not occur, found as the search automaton of Aho and Corasick.
#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/dfa.h"
#include "text/grammar/sources.h"

namespace sluice::text::grammar {
namespace {

/// The triggers as a tree of their characters, with the longest proper suffix of each node that is in the tree too.
class Search {
 public:
  explicit Search(std::span<const std::string> triggers) {
    nodes_.emplace_back();
    for (const auto& t : triggers)
      if (!t.empty()) insert(t);
    link();
  }

  [[nodiscard]] Dfa without() const {
    std::vector<CodePointSet> sets;
    for (const auto c : characters_) sets.emplace_back(c, c);
    Dfa out(character_classes(sets));
    for (std::size_t s = 0; s < nodes_.size(); ++s) static_cast<void>(out.add_state(true));
    for (std::size_t s = 0; s < nodes_.size(); ++s) {
      if (nodes_[s].ends) continue;
      for (std::size_t c = 0; c < out.classes().size(); ++c) {
        const auto first = out.classes()[c].ranges().front().first;
        const auto to = std::ranges::find(characters_, first) == characters_.end() ? 0 : step(s, first);
        if (!nodes_[to].ends) out.set_next(static_cast<Dfa::State>(s), c, static_cast<Dfa::State>(to));
      }
    }
    return out;
  }

 private:
  struct Trie {
    std::map<char32_t, std::size_t> next{};
    std::size_t suffix = 0;
    bool ends = false;  // a trigger ends here
  };

  void insert(std::string_view text) {
    std::size_t at = 0;
    while (!text.empty()) {
      const auto c = utf8_step(text);
      text.remove_prefix(c.length);
      if (std::ranges::find(characters_, c.code_point) == characters_.end()) characters_.push_back(c.code_point);
      const auto [it, fresh] = nodes_[at].next.try_emplace(c.code_point, nodes_.size());
      at = it->second;
      if (fresh) nodes_.emplace_back();
    }
    nodes_[at].ends = true;
  }

  void link() {
    std::deque<std::size_t> work{0};
    while (!work.empty()) {
      const auto at = work.front();
      work.pop_front();
      for (const auto& [c, to] : nodes_[at].next) {
        nodes_[to].suffix = at == 0 ? 0 : step(nodes_[at].suffix, c);
        nodes_[to].ends = nodes_[to].ends || nodes_[nodes_[to].suffix].ends;
        work.push_back(to);
      }
    }
  }

  [[nodiscard]] std::size_t step(std::size_t at, char32_t c) const {
    while (true) {
      const auto to = nodes_[at].next.find(c);
      if (to != nodes_[at].next.end()) return to->second;
      if (at == 0) return 0;
      at = nodes_[at].suffix;
    }
  }

  std::deque<Trie> nodes_;
  std::vector<char32_t> characters_;
};

}  // namespace

NodeIndex text_without(Grammar& grammar, std::span<const std::string> triggers) {
  PlainSpelling plain(grammar);
  return add_dfa(Search(triggers).without(), plain, "text");
}

}  // namespace sluice::text::grammar
