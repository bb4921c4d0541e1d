#include "text/grammar/automaton/plan.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kCopies = 16;   // states that a repetition may be written out to
constexpr std::size_t kShared = 64;   // a piece of so many states is called where it is used twice
constexpr std::size_t kLooping = 8;   // ... or of so many, if it loops
constexpr std::size_t kNested = 200;  // written out into each other

/// Nodes reached from the root, parts first, cut at those that come back to themselves.
class Order {
 public:
  explicit Order(const Grammar& g) : g_(g), state_(g.nodes().size(), State::unseen), cut_(g.nodes().size(), false) {
    walk(g.root());
  }
  [[nodiscard]] const std::vector<NodeIndex>& nodes() const { return order_; }
  [[nodiscard]] bool cut(NodeIndex i) const { return cut_[i]; }

 private:
  enum class State : std::uint8_t { unseen, open, done };
  struct Frame {
    NodeIndex node;
    std::size_t next;
  };

  [[nodiscard]] std::optional<NodeIndex> child(const Frame& f) const {
    const auto& n = g_.node(f.node);
    if (n.op == Op::rule) return f.next == 0 ? g_.rule_body(n.rule) : std::nullopt;
    return f.next < n.children.size() ? std::optional(n.children[f.next]) : std::nullopt;
  }

  void walk(NodeIndex root) {
    std::vector<Frame> stack{{root, 0}};
    state_[root] = State::open;
    while (!stack.empty()) {
      const auto c = child(stack.back());
      if (!c) {
        state_[stack.back().node] = State::done;
        order_.push_back(stack.back().node);
        stack.pop_back();
        continue;
      }
      ++stack.back().next;
      if (state_[*c] == State::open) cut_[*c] = true;
      if (state_[*c] != State::unseen) continue;
      state_[*c] = State::open;
      stack.push_back({*c, 0});
    }
  }

  const Grammar& g_;
  std::vector<State> state_;
  std::vector<bool> cut_;
  std::vector<NodeIndex> order_;
};

/// Makes equal nodes one piece.
class PieceMaker {
 public:
  PieceMaker(const Grammar& g, Plan& plan) : g_(g), plan_(plan), order_(g), of_(g.nodes().size(), kNone) {
    for (const auto i : order_.nodes())
      if (order_.cut(i)) of_[i] = add({.op = Op::rule});
    for (const auto i : order_.nodes()) {
      const auto piece = make(i);
      if (order_.cut(i))
        plan_.pieces[of_[i]].content = piece;
      else
        of_[i] = piece;
    }
    plan_.root = of_[g.root()];
  }

 private:
  static constexpr PieceIndex kNone = 0xFFFFFFFF;

  PieceIndex add(Piece p) {
    plan_.pieces.push_back(std::move(p));
    return static_cast<PieceIndex>(plan_.pieces.size() - 1);
  }

  PieceIndex make(NodeIndex i) {
    const auto& n = g_.node(i);
    switch (n.op) {
      case Op::literal: {
        const auto [at, fresh] = literals_.try_emplace(n.bytes, 0);
        if (fresh) at->second = add({.op = Op::literal, .bytes = n.bytes});
        return at->second;
      }
      case Op::chars: {
        const auto hash = hash_of(n.set);
        for (auto [at, end] = sets_.equal_range(hash); at != end; ++at)
          if (*plan_.pieces[at->second].set == n.set) return at->second;
        const auto piece = add({.op = Op::chars, .set = &n.set});
        sets_.emplace(hash, piece);
        return piece;
      }
      case Op::rule:
        return of_[*g_.rule_body(n.rule)];
      case Op::sequence:
      case Op::choice:
      case Op::repeat:
        break;
    }
    Piece p{.op = n.op, .least = n.least, .most = n.most};
    for (const auto c : n.children) p.parts.push_back(of_[c]);
    const auto [at, fresh] = groups_.try_emplace({n.op, n.least, n.most, p.parts}, 0);
    if (fresh) at->second = add(std::move(p));
    return at->second;
  }

  static std::size_t hash_of(const CodePointSet& set) {
    std::size_t h = 0;
    for (const auto& r : set.ranges()) h = (h * 31 + r.first) * 1'000'003 + r.last;
    return h;
  }

  const Grammar& g_;
  Plan& plan_;
  Order order_;
  std::vector<PieceIndex> of_;  // by node
  std::unordered_map<std::string_view, PieceIndex> literals_;
  std::unordered_multimap<std::size_t, PieceIndex> sets_;
  std::map<std::tuple<Op, std::uint32_t, std::uint32_t, std::vector<PieceIndex>>, PieceIndex> groups_;
};

/// Marks what holds of a piece because it holds of its parts (all of a sequence, one of a choice), in linear time.
template <class AtOnce, class Mark>
void derive(const Plan& plan, AtOnce&& at_once, Mark&& mark) {
  const auto& pieces = plan.pieces;
  std::vector<std::vector<PieceIndex>> above(pieces.size());
  std::vector<std::size_t> missing(pieces.size(), 1);
  for (PieceIndex i = 0; i < pieces.size(); ++i) {
    for (const auto p : pieces[i].parts) above[p].push_back(i);
    if (pieces[i].op == Op::rule) above[pieces[i].content].push_back(i);
    if (pieces[i].op == Op::sequence) missing[i] = pieces[i].parts.size();
  }
  std::vector<bool> known(pieces.size(), false);
  std::vector<PieceIndex> work;
  const auto hold = [&](PieceIndex i) {
    if (known[i]) return;
    known[i] = true;
    mark(i);
    work.push_back(i);
  };
  for (PieceIndex i = 0; i < pieces.size(); ++i)
    if (at_once(pieces[i])) hold(i);
  while (!work.empty()) {
    const auto i = work.back();
    work.pop_back();
    for (const auto a : above[i])
      if (--missing[a] == 0 || pieces[a].op != Op::sequence) hold(a);
  }
}

/// Some of it is not a surrogate.
bool spelled(const CodePointSet& set) {
  return std::ranges::any_of(set.ranges(), [](const auto& r) { return r.first < 0xD800 || r.last > 0xDFFF; });
}

void derive_all(Plan& plan) {
  const auto empty = [](const Piece& p) {
    return (p.op == Op::sequence && p.parts.empty()) || (p.op == Op::repeat && p.least == 0);
  };
  derive(
      plan, [&](const Piece& p) { return empty(p) || (p.op == Op::literal && p.bytes.empty()); },
      [&](PieceIndex i) { plan.pieces[i].nullable = true; });
  derive(
      plan, [&](const Piece& p) { return empty(p) || p.op == Op::literal || (p.op == Op::chars && spelled(*p.set)); },
      [&](PieceIndex i) { plan.pieces[i].matches = true; });
}

/// Decides what is a unit.
class UnitChooser {
 public:
  UnitChooser(Plan& plan, const PlanLimits& limits) : plan_(plan), limits_(limits), uses_(plan.pieces.size(), 0) {
    for (const auto& p : plan.pieces)
      for (const auto part : p.parts) ++uses_[part];
    size_.resize(plan.pieces.size());
  }

  Result<> choose() {
    for (PieceIndex i = 0; i < plan_.pieces.size(); ++i) {
      auto& p = plan_.pieces[i];
      auto s = measure(p);
      p.loops = s.loops;
      p.unit = p.op == Op::rule || p.counted || s.nested > kNested ||
               (uses_[i] > 1 && (s.states >= kShared || (s.loops && s.states >= kLooping)));
      if (!p.unit) {
        size_[i] = s;
        continue;
      }
      states_ += s.states;
      size_[i] = {.states = 1};
      SLUICE_TRY(check());
    }
    for (const auto& p : plan_.pieces)
      if (p.op == Op::rule) states_ += size_[p.content].states;
    states_ += size_[plan_.root].states;
    plan_.states = states_;
    return check();
  }

 private:
  struct Size {
    std::size_t states = 0;
    std::size_t nested = 0;
    bool loops = false;
  };

  [[nodiscard]] Result<> check() const {
    if (states_ <= limits_.states) return {};
    return fail(Errc::invalid_argument,
                "the grammar would take more than {} states; use smaller repetitions of large parts, or fewer parts",
                limits_.states);
  }

  Size measure(Piece& p) {
    Size s;
    for (const auto part : p.parts) {
      s.states += size_[part].states;
      s.nested = std::max(s.nested, size_[part].nested + 1);
      s.loops = s.loops || size_[part].loops;
    }
    if (p.op == Op::literal) s.states = p.bytes.size();
    if (p.op == Op::chars) {
      p.spells = static_cast<std::uint32_t>(plan_.spellings.size());
      plan_.spellings.push_back(utf8_graph(*p.set));
      s.states = plan_.spellings.back().nodes.size();
    }
    if (p.op != Op::repeat) return s;
    const auto copies = p.unbounded() ? std::max(p.least, 1U) : p.most;
    p.counted = plan_.pieces[p.parts.front()].matches && copies > 1 && s.states * copies > kCopies;
    if (!p.counted) s.states *= copies;
    const bool part_loops = s.loops;
    s.loops = s.loops || p.counted || p.unbounded();
    // A loop inside what is counted is left to a unit: its masks then need no count.
    if (p.counted && part_loops) plan_.pieces[p.parts.front()].unit = true;
    return s;
  }

  Plan& plan_;
  PlanLimits limits_;
  std::vector<std::size_t> uses_;
  std::vector<Size> size_;
  std::size_t states_ = 0;
};

}  // namespace

Result<Plan> make_plan(const Grammar& grammar, const PlanLimits& limits) {
  Plan plan;
  const PieceMaker pieces(grammar, plan);
  derive_all(plan);
  SLUICE_TRY(UnitChooser(plan, limits).choose());
  return plan;
}

}  // namespace sluice::text::grammar
