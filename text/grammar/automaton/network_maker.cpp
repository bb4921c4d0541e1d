#include "text/grammar/automaton/network_maker.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/grammar/automaton/fragment.h"
#include "text/grammar/automaton/plan.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kWork = 2'000'000;      // edges looked at
constexpr std::size_t kNeverTooMany = 1'000;  // states: however they are joined, it is less work

class NetworkMaker {
 public:
  explicit NetworkMaker(const Plan& plan) : plan_(plan) {}

  Result<Network> make() {
    std::size_t effort = kWork;
    SLUICE_TRY(write([&](Reduced body) { bodies_.push_back(merged(determined(std::move(body), effort))); }));
    SLUICE_TRY(order());
    return link();
  }

  Result<> check() {
    if (plan_.states <= kNeverTooMany) return {};
    return write([](const Reduced&) {});
  }

 private:
  /// Every unit that the root leads to, one after another.
  template <class Take>
  Result<> write(const Take& take) {
    const Fragment::UnitOf unit_of = [this](PieceIndex p) { return unit(p); };
    static_cast<void>(unit(plan_.root));
    std::size_t work = kWork;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      SLUICE_ASSIGN(auto body, Fragment(plan_, unit_of, pieces_[i]).reduce(work));
      take(std::move(body));
    }
    return {};
  }

  UnitIndex unit(PieceIndex p) {
    const auto [at, fresh] = units_.try_emplace(p, static_cast<UnitIndex>(pieces_.size()));
    if (fresh) pieces_.push_back(p);
    return at->second;
  }

  /// Ranks units so that what a start calls comes behind it: depth first, last finished first.
  Result<> order() {
    enum : std::uint8_t { unseen, open, done };
    std::vector<std::uint8_t> state(bodies_.size(), unseen);
    std::vector<UnitIndex> finished;
    struct Frame {
      UnitIndex unit;
      std::size_t next;
    };
    std::vector<Frame> stack;
    for (UnitIndex u = static_cast<UnitIndex>(bodies_.size()); u-- > 0;) {
      if (state[u] != unseen) continue;
      stack.push_back({u, 0});
      state[u] = open;
      while (!stack.empty()) {
        const auto& calls = bodies_[stack.back().unit].states[0].calls;
        if (stack.back().next == calls.size()) {
          state[stack.back().unit] = done;
          finished.push_back(stack.back().unit);
          stack.pop_back();
          continue;
        }
        const auto called = calls[stack.back().next++].unit;
        if (state[called] == open)
          return fail(Errc::invalid_argument,
                      "a rule comes back to itself before it reads a character (left recursion); write it with a "
                      "repetition, as in  a ::= b (\"+\" b)*");
        if (state[called] != unseen) continue;
        state[called] = open;
        stack.push_back({called, 0});
      }
    }
    rank_.resize(bodies_.size());
    for (std::size_t i = 0; i < finished.size(); ++i)
      rank_[finished[i]] = static_cast<UnitIndex>(finished.size() - 1 - i);
    return {};
  }

  Network link() {
    Network net;
    net.matches_empty = plan_.pieces[plan_.root].nullable;
    net.units.resize(bodies_.size());
    net.root = rank_[0];
    std::vector<std::size_t> by_rank(bodies_.size());
    for (std::size_t i = 0; i < bodies_.size(); ++i) by_rank[rank_[i]] = i;
    for (const auto i : by_rank) {
      const auto& p = plan_.pieces[pieces_[i]];
      auto& u = net.units[rank_[i]];
      u.start = static_cast<PlaceIndex>(net.places.size());
      u.counts = p.counted;
      if (u.counts) {
        u.least = plan_.pieces[p.parts.front()].nullable ? 1 : std::max(p.least, 1U);
        u.most = p.most;
      }
      for (const auto& s : bodies_[i].states) place(net, s, rank_[i]);
      u.twin = u.start;
      if (!u.counts) continue;
      u.flat = flat(bodies_[i]);
      u.twin = twins_.try_emplace(p.parts.front(), u.start).first->second;
    }
    return net;
  }

  static bool flat(const Reduced& body) {
    return std::ranges::all_of(body.states, [](const auto& s) {
      const auto overlap = [](const ByteEdge& a, const ByteEdge& b) { return b.first <= a.last; };
      return s.calls.empty() && (!s.final || s.edges.empty()) &&
             std::ranges::adjacent_find(s.edges, overlap) == s.edges.end();
    });
  }

  void place(Network& net, const Reduced::State& s, UnitIndex unit) const {
    const auto base = net.units[unit].start;
    Place p{.edges_begin = static_cast<std::uint32_t>(net.edges.size()),
            .calls_begin = static_cast<std::uint32_t>(net.calls.size()),
            .unit = unit,
            .final = s.final};
    p.ends = s.final && s.edges.empty() && s.calls.empty() && !net.units[unit].counts;
    for (const auto& e : s.edges) net.edges.push_back({e.first, e.last, e.to + base});
    for (const auto& c : s.calls) net.calls.push_back({rank_[c.unit], c.back + base});
    p.edges_end = static_cast<std::uint32_t>(net.edges.size());
    p.calls_end = static_cast<std::uint32_t>(net.calls.size());
    net.places.push_back(p);
  }

  const Plan& plan_;
  std::unordered_map<PieceIndex, UnitIndex> units_;
  std::vector<PieceIndex> pieces_;  // by unit, in the order met
  std::vector<Reduced> bodies_;
  std::vector<UnitIndex> rank_;
  std::unordered_map<PieceIndex, PlaceIndex> twins_;  // by what is counted
};

}  // namespace

Result<Network> make_network(const Grammar& grammar, const GrammarLimits& limits) {
  SLUICE_TRY(grammar.check(limits));
  SLUICE_ASSIGN(const auto plan, make_plan(grammar));
  return NetworkMaker(plan).make();
}

Result<> check_network(const Grammar& grammar, const GrammarLimits& limits) {
  SLUICE_TRY(grammar.check(limits));
  SLUICE_ASSIGN(const auto plan, make_plan(grammar));
  return NetworkMaker(plan).check();
}

}  // namespace sluice::text::grammar
