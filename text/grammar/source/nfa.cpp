// An expression's tree to an automaton: Thompson's construction, then sets of its states.
#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/dfa.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

using regex::Place;
using Kind = regex::Node::Kind;

constexpr std::size_t kMaxNfaStates = 20'000;

class Nfa {
 public:
  using State = std::uint32_t;
  struct Edge {
    enum class When : std::uint8_t { always, at_begin, at_end, on_set } when;
    std::uint32_t set;  // on_set
    State to;
  };

  /// False: too large.
  bool build(const regex::Node& tree, bool anywhere) {
    const auto begin = add(), from = anywhere ? add() : begin;
    if (anywhere) {
      edges_[begin].push_back({Edge::When::on_set, set_of(scalar_values()), begin});
      edges_[begin].push_back({Edge::When::always, 0, from});
    }
    const auto last = fragment(tree, from);
    if (!last) return false;
    end_ = *last;
    if (anywhere) {  // a state of its own: the last one of the expression may have ways back
      const auto after = add();
      edges_[end_].push_back({Edge::When::always, 0, after});
      edges_[after].push_back({Edge::When::on_set, set_of(scalar_values()), after});
      end_ = after;
    }
    return edges_.size() <= kMaxNfaStates;
  }

  [[nodiscard]] const std::vector<Edge>& edges(State s) const { return edges_[s]; }
  [[nodiscard]] std::size_t states() const { return edges_.size(); }
  [[nodiscard]] State end() const { return end_; }
  [[nodiscard]] const std::vector<CodePointSet>& sets() const { return sets_; }

 private:
  State add() {
    edges_.emplace_back();
    return static_cast<State>(edges_.size() - 1);
  }

  std::uint32_t set_of(const CodePointSet& set) {
    const auto known = std::ranges::find(sets_, set);
    if (known != sets_.end()) return static_cast<std::uint32_t>(known - sets_.begin());
    sets_.push_back(set);
    return static_cast<std::uint32_t>(sets_.size() - 1);
  }

  State step(State from, const CodePointSet& set) {
    const auto to = add();
    edges_[from].push_back({Edge::When::on_set, set_of(set), to});
    return to;
  }

  /// The state after `tree` begun in `from`.
  std::optional<State> fragment(const regex::Node& tree, State from) {
    if (edges_.size() > kMaxNfaStates) return std::nullopt;
    switch (tree.kind) {
      case Kind::literal:
        for (std::string_view rest = tree.literal; !rest.empty() && edges_.size() <= kMaxNfaStates;) {
          const auto c = utf8_step(rest);
          rest.remove_prefix(c.length);
          from = step(from, CodePointSet(c.code_point, c.code_point));
        }
        return from;
      case Kind::set:
        return step(from, tree.set);
      case Kind::concatenation:
        for (const auto& c : tree.children) {
          const auto to = fragment(*c, from);
          if (!to) return std::nullopt;
          from = *to;
        }
        return from;
      case Kind::alternation: {
        const auto out = add();
        for (const auto& c : tree.children) {
          const auto in = add();
          edges_[from].push_back({Edge::When::always, 0, in});
          const auto to = fragment(*c, in);
          if (!to) return std::nullopt;
          edges_[*to].push_back({Edge::When::always, 0, out});
        }
        return out;
      }
      case Kind::place: {
        const auto out = add();
        edges_[from].push_back({tree.place == Place::text_begin ? Edge::When::at_begin : Edge::When::at_end, 0, out});
        return out;
      }
      case Kind::repeat:
        return repeated(tree, from);
      default:
        return std::nullopt;  // parse_ecma makes no other
    }
  }

  std::optional<State> repeated(const regex::Node& tree, State from) {
    const auto& child = *tree.children.front();
    for (std::uint32_t i = 0; i < tree.min; ++i) {
      const auto to = fragment(child, from);
      if (!to) return std::nullopt;
      if (*to == from) break;  // nothing, however often
      from = *to;
    }
    if (tree.max == regex::Node::kNoLimit) {
      const auto loop = add(), out = add();
      edges_[from].push_back({Edge::When::always, 0, loop});
      const auto back = fragment(child, loop);
      if (!back) return std::nullopt;
      edges_[*back].push_back({Edge::When::always, 0, loop});
      edges_[loop].push_back({Edge::When::always, 0, out});
      return out;
    }
    const auto out = add();
    for (auto i = tree.min; i < tree.max; ++i) {
      edges_[from].push_back({Edge::When::always, 0, out});
      const auto to = fragment(child, from);
      if (!to) return std::nullopt;
      if (*to == from) break;
      from = *to;
    }
    edges_[from].push_back({Edge::When::always, 0, out});
    return out;
  }

  std::vector<std::vector<Edge>> edges_;
  std::vector<CodePointSet> sets_;
  State end_ = 0;
};

/// Sets of the automaton's states, as one reads a text. A member is 2 * state, and one more where `$` was passed: no
/// character may follow then.
class Subsets {
 public:
  Subsets(const Nfa& nfa, std::size_t steps) : nfa_(nfa), steps_(steps), dfa_(character_classes(nfa.sets())) {
    for (const auto& set : nfa.sets()) {
      std::vector<std::uint32_t> classes;
      for (std::uint32_t c = 0; c < dfa_.classes().size(); ++c)
        if (set.contains(dfa_.classes()[c].ranges().front().first)) classes.push_back(c);
      classes_of_.push_back(std::move(classes));
    }
    seen_.resize(2 * nfa.states(), 0);
  }

  Result<Dfa> run() {
    Members first{0};
    close(first, true);
    state(std::move(first));
    for (std::size_t s = 0; s < members_.size(); ++s) {
      std::vector<Members> after(dfa_.classes().size());
      for (const auto m : *members_[s]) {
        if (m % 2 == 1) continue;
        for (const auto& e : nfa_.edges(m / 2)) {
          if (e.when != Nfa::Edge::When::on_set) continue;
          for (const auto c : classes_of_[e.set]) after[c].push_back(2 * e.to);
          spend(classes_of_[e.set].size());
        }
      }
      for (std::size_t c = 0; c < after.size(); ++c) {
        if (after[c].empty()) continue;
        close(after[c], false);
        if (steps_ == 0 || members_.size() > Dfa::kMaxStates)
          return fail(Errc::invalid_argument, "it would need too large an automaton");
        const auto to = state(std::move(after[c]));
        dfa_.set_next(static_cast<Dfa::State>(s), c, to);
      }
    }
    return std::move(dfa_);
  }

 private:
  using Members = std::vector<std::uint32_t>;

  void spend(std::size_t n) { steps_ -= std::min(steps_, n); }

  Dfa::State state(Members members) {
    const auto [it, fresh] = known_.try_emplace(std::move(members), static_cast<Dfa::State>(members_.size()));
    if (fresh) {
      members_.push_back(&it->first);
      dfa_.add_state(std::ranges::any_of(it->first, [&](auto m) { return m / 2 == nfa_.end(); }));
    }
    return it->second;
  }

  /// With all that is reached without a character; sorted, each once.
  void close(Members& members, bool at_begin) {
    ++round_;
    std::size_t kept = 0;
    for (const auto m : members)
      if (std::exchange(seen_[m], round_) != round_) members[kept++] = m;
    members.resize(kept);
    for (std::size_t i = 0; i < members.size() && steps_ > 0; ++i) {
      const auto m = members[i];
      spend(1 + nfa_.edges(m / 2).size());
      for (const auto& e : nfa_.edges(m / 2)) {
        if (e.when == Nfa::Edge::When::on_set || (e.when == Nfa::Edge::When::at_begin && !at_begin)) continue;
        const auto to = 2 * e.to + (m % 2 == 1 || e.when == Nfa::Edge::When::at_end ? 1 : 0);
        if (std::exchange(seen_[to], round_) != round_) members.push_back(to);
      }
    }
    std::ranges::sort(members);
  }

  const Nfa& nfa_;
  std::size_t steps_;
  Dfa dfa_;
  std::vector<std::vector<std::uint32_t>> classes_of_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t round_ = 0;
  std::map<Members, Dfa::State> known_;
  std::vector<const Members*> members_;
};

}  // namespace

Result<Dfa> Dfa::of(const regex::Node& tree, bool anywhere, std::size_t steps) {
  Nfa nfa;
  if (!nfa.build(tree, anywhere)) return fail(Errc::invalid_argument, "it would need too large an automaton");
  SLUICE_ASSIGN(auto out, Subsets(nfa, steps).run());
  return out.trimmed();
}

}  // namespace sluice::text::grammar
