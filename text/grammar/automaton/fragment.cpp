#include "text/grammar/automaton/fragment.h"

#include <algorithm>

namespace sluice::text::grammar {

Fragment::Fragment(const Plan& plan, const UnitOf& unit_of, PieceIndex piece) : plan_(plan), unit_of_(unit_of) {
  const auto start = add();
  const auto& p = plan.pieces[piece];
  if (!p.counted) {
    end_ = write_body(piece, start);
    return;
  }
  // What does not loop is written out even if others call it, so that one thread reads it.
  const auto part = p.parts.front();
  end_ = plan.pieces[part].loops ? write(part, start) : write_body(part, start);
}

std::uint32_t Fragment::add() {
  states_.emplace_back();
  return static_cast<std::uint32_t>(states_.size() - 1);
}

std::uint32_t Fragment::write(PieceIndex piece, std::uint32_t from) {
  const auto& p = plan_.pieces[piece];
  if (!p.unit) return write_body(piece, from);
  const auto to = add();
  states_[from].calls.push_back({unit_of_(piece), to});
  if (p.nullable) step(from, to);
  return to;
}

std::uint32_t Fragment::write_body(PieceIndex piece, std::uint32_t from) {
  const auto& p = plan_.pieces[piece];
  switch (p.op) {
    case Op::literal:
      return write_literal(p, from);
    case Op::chars:
      return write_chars(p, from);
    case Op::sequence:
      for (const auto part : p.parts) from = write(part, from);
      return from;
    case Op::choice: {
      const auto to = add();
      for (const auto part : p.parts)
        if (plan_.pieces[part].matches) step(write(part, from), to);
      return to;
    }
    case Op::repeat:
      return write_repeat(p, from);
    case Op::rule:
      return write(p.content, from);
  }
  return from;
}

std::uint32_t Fragment::write_literal(const Piece& p, std::uint32_t from) {
  for (const char c : p.bytes) {
    const auto to = add();
    const auto b = static_cast<std::uint8_t>(c);
    states_[from].edges.push_back({b, b, to});
    from = to;
  }
  return from;
}

std::uint32_t Fragment::write_chars(const Piece& p, std::uint32_t from) {
  const auto& graph = plan_.spellings[*p.spells];
  const auto to = add();
  std::vector<std::uint32_t> state(graph.nodes.size());
  for (std::size_t i = 0; i < state.size(); ++i) state[i] = i == graph.start ? from : add();
  for (std::size_t i = 0; i < state.size(); ++i)
    for (const auto& e : graph.nodes[i])
      states_[state[i]].edges.push_back({e.first, e.last, e.to == Utf8Graph::kExit ? to : state[e.to]});
  return to;
}

std::uint32_t Fragment::write_repeat(const Piece& p, std::uint32_t from) {
  const auto part = p.parts.front();
  if (!plan_.pieces[part].matches) return from;  // least is 0
  const auto once = p.unbounded() ? std::max(p.least, 1U) - 1 : p.least;
  for (std::uint32_t i = 0; i < once; ++i) from = write(part, from);
  const auto to = add();
  if (!p.unbounded()) {
    for (auto i = once; i < p.most; ++i) {
      step(from, to);
      from = write(part, from);
    }
    step(from, to);
    return to;
  }
  // The part is written from a state of its own, so that coming back adds nothing to what stands before.
  const auto loop = add();
  step(from, loop);
  const auto behind = write(part, loop);
  step(behind, loop);
  step(behind, to);
  if (p.least == 0) step(loop, to);
  return to;
}

Result<Reduced> Fragment::reduce(std::size_t& work) const {
  // A state is kept if a byte or a call leads to it; what empty steps lead to from there becomes its own.
  constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::vector<std::uint32_t> kept(states_.size(), kNone), seen(states_.size(), kNone), order{0}, reach;
  kept[0] = 0;
  const auto keep = [&](std::uint32_t s) {
    if (kept[s] == kNone) {
      kept[s] = static_cast<std::uint32_t>(order.size());
      order.push_back(s);
    }
    return kept[s];
  };
  Reduced out;
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    auto& state = out.states.emplace_back();
    reach.assign(1, order[i]);
    seen[order[i]] = i;
    for (std::size_t r = 0; r < reach.size(); ++r) {
      const auto& s = states_[reach[r]];
      state.final = state.final || reach[r] == end_;
      for (const auto& e : s.edges) state.edges.push_back({e.first, e.last, keep(e.to)});
      for (const auto& c : s.calls) state.calls.push_back({c.unit, keep(c.back)});
      for (const auto next : s.empty) {
        if (seen[next] == i) continue;
        seen[next] = i;
        reach.push_back(next);
      }
    }
    const auto cost = reach.size() + state.edges.size() + state.calls.size();
    if (cost > work)
      return fail(Errc::invalid_argument,
                  "the grammar has too many ways to go on at one place; use fewer optional parts in a row");
    work -= cost;
    std::ranges::sort(state.edges);
    state.edges.erase(std::ranges::unique(state.edges).begin(), state.edges.end());
    std::ranges::sort(state.calls);
    state.calls.erase(std::ranges::unique(state.calls).begin(), state.calls.end());
  }
  out.states[0].final = false;
  return out;
}

}  // namespace sluice::text::grammar
