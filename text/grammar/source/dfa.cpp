#include "text/grammar/source/dfa.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

std::unexpected<Error> too_large(std::size_t states) {
  return fail(Errc::invalid_argument, "it would need an automaton of more than {} states", states);
}

}  // namespace

std::vector<CodePointSet> character_classes(std::span<const CodePointSet> sets) {
  // Between two neighbouring ends all characters are in the same sets; segments with the same sets are one class.
  std::vector<std::pair<char32_t, std::uint32_t>> ends;  // where membership of a set flips
  for (std::uint32_t i = 0; i < sets.size(); ++i) {
    for (const auto r : sets[i].ranges()) {
      ends.emplace_back(r.first, i);
      ends.emplace_back(r.last + 1, i);
    }
  }
  std::ranges::sort(ends);
  std::map<std::vector<bool>, std::vector<CodePointRange>> by_membership;
  std::vector<bool> in(sets.size(), false);
  char32_t from = 0;
  const auto close = [&](char32_t to) {
    if (to > from) by_membership[in].push_back({from, to - 1});
    from = to;
  };
  for (const auto& [at, set] : ends) {
    close(at);
    in[set] = !in[set];
  }
  close(CodePointSet::kMax + 1);
  std::vector<CodePointSet> out;
  for (const auto& [membership, ranges] : by_membership) {
    auto set = CodePointSet(ranges) & scalar_values();
    if (!set.empty()) out.push_back(std::move(set));
  }
  return out;
}

Dfa::State Dfa::add_state(bool accepts) {
  accepts_.push_back(accepts);
  next_.resize(next_.size() + classes_.size(), kNone);
  return static_cast<State>(accepts_.size() - 1);
}

Result<Dfa> Dfa::length(std::uint64_t least, std::uint64_t most) {
  const auto last = most == Node::kUnbounded ? least : most;
  if (last + 1 > kMaxStates)
    return fail(Errc::invalid_argument, "a length of {} beside other conditions is more than the {} allowed", last,
                kMaxStates - 1);
  Dfa out({scalar_values()});
  if (most < least) return out;
  for (std::uint64_t i = 0; i <= last; ++i) {
    const auto s = out.add_state(i >= least);
    if (i > 0) out.set_next(s - 1, 0, s);
    if (i == last && most == Node::kUnbounded) out.set_next(s, 0, s);
  }
  return out;
}

Result<Dfa> Dfa::texts(std::span<const std::string> texts) {
  std::vector<CodePointSet> sets;
  std::map<char32_t, bool> seen;
  std::size_t total = 0;
  for (const auto& t : texts) {
    total += t.size();
    if (total > 16 * kMaxStates) return fail(Errc::invalid_argument, "the names together are too long");
    for (std::string_view rest = t; !rest.empty();) {
      const auto step = utf8_step(rest);
      rest.remove_prefix(step.length);
      if (!std::exchange(seen[step.code_point], true)) sets.emplace_back(step.code_point, step.code_point);
    }
  }
  Dfa out(character_classes(sets));
  std::map<char32_t, std::size_t> class_of;
  for (std::size_t c = 0; c < out.classes_.size(); ++c) {
    const auto r = out.classes_[c].ranges().front();
    if (out.classes_[c].ranges().size() == 1 && r.first == r.last && seen.contains(r.first)) class_of[r.first] = c;
  }
  out.add_state(false);
  for (const auto& t : texts) {
    State at = 0;
    for (std::string_view rest = t; !rest.empty();) {
      const auto step = utf8_step(rest);
      rest.remove_prefix(step.length);
      const auto c = class_of.at(step.code_point);
      if (out.next(at, c) == kNone) {
        if (out.states() >= 4 * kMaxStates) return fail(Errc::invalid_argument, "the names together are too long");
        const auto fresh = out.add_state(false);
        out.set_next(at, c, fresh);
      }
      at = out.next(at, c);
    }
    out.accepts_[at] = true;
  }
  return out;
}

Result<Dfa> Dfa::both(const Dfa& a, const Dfa& b) {
  std::vector<CodePointSet> classes;
  std::vector<std::pair<std::size_t, std::size_t>> from;
  for (std::size_t i = 0; i < a.classes_.size(); ++i) {
    for (std::size_t j = 0; j < b.classes_.size(); ++j) {
      auto common = a.classes_[i] & b.classes_[j];
      if (common.empty()) continue;
      classes.push_back(std::move(common));
      from.emplace_back(i, j);
    }
  }
  Dfa out(std::move(classes));
  if (a.accepts_.empty() || b.accepts_.empty()) return out;
  std::unordered_map<std::uint64_t, State> known;
  std::vector<std::pair<State, State>> pairs;
  const auto state = [&](State x, State y) {
    const auto [it, fresh] = known.try_emplace((std::uint64_t{x} << 32U) | y, static_cast<State>(pairs.size()));
    if (fresh) {
      out.add_state(a.accepts_[x] && b.accepts_[y]);
      pairs.emplace_back(x, y);
    }
    return it->second;
  };
  state(0, 0);
  for (std::size_t s = 0; s < pairs.size(); ++s) {
    if (pairs.size() > 4 * kMaxStates) return too_large(4 * kMaxStates);
    for (std::size_t c = 0; c < from.size(); ++c) {
      const auto x = a.next(pairs[s].first, from[c].first);
      const auto y = b.next(pairs[s].second, from[c].second);
      if (x == kNone || y == kNone) continue;
      const auto to = state(x, y);
      out.set_next(static_cast<State>(s), c, to);
    }
  }
  out = out.trimmed();
  if (out.states() > kMaxStates) return too_large(kMaxStates);
  return out;
}

Dfa Dfa::complement() const {
  auto out = *this;
  // Every scalar value must be in a class: what is in none leads to the state from which all is accepted.
  CodePointSet covered;
  for (const auto& c : classes_) covered |= c;
  if (auto rest = covered.complement() & scalar_values(); !rest.empty()) {
    Dfa wider(classes_);
    wider.classes_.push_back(std::move(rest));
    for (State s = 0; s < states(); ++s) wider.add_state(accepts_[s]);
    for (State s = 0; s < states(); ++s)
      for (std::size_t c = 0; c < classes_.size(); ++c) wider.set_next(s, c, next(s, c));
    out = std::move(wider);
  }
  if (out.accepts_.empty()) out.add_state(false);
  const auto all = out.add_state(false);
  for (auto& n : out.next_)
    if (n == kNone) n = all;
  out.accepts_.flip();
  return out.trimmed();
}

bool Dfa::empty() const { return trimmed().accepts_.empty(); }

bool Dfa::matches(std::string_view text) const {
  State at = accepts_.empty() ? kNone : 0;
  while (!text.empty() && at != kNone) {
    const auto step = utf8_step(text);
    text.remove_prefix(step.length);
    const auto c = std::ranges::find_if(classes_, [&](const auto& set) { return set.contains(step.code_point); });
    at = c == classes_.end() ? kNone : next(at, static_cast<std::size_t>(c - classes_.begin()));
  }
  return at != kNone && accepts_[at];
}

Dfa Dfa::trimmed() const {
  const auto n = states();
  const auto width = classes_.size();
  std::vector<bool> reached(n, false), ends(accepts_);
  std::vector<State> work;
  if (n > 0) {
    reached[0] = true;
    work.push_back(0);
  }
  std::vector<std::vector<State>> before(n);
  while (!work.empty()) {
    const auto s = work.back();
    work.pop_back();
    for (std::size_t c = 0; c < width; ++c) {
      const auto to = next(s, c);
      if (to == kNone) continue;
      if (before[to].empty() || before[to].back() != s) before[to].push_back(s);
      if (!reached[to]) {
        reached[to] = true;
        work.push_back(to);
      }
    }
  }
  for (State s = 0; s < n; ++s)
    if (ends[s] && reached[s]) work.push_back(s);
  while (!work.empty()) {
    const auto s = work.back();
    work.pop_back();
    for (const auto b : before[s]) {
      if (ends[b]) continue;
      ends[b] = true;
      work.push_back(b);
    }
  }
  Dfa out(classes_);
  std::vector<State> renamed(n, kNone);
  if (n == 0 || !ends[0]) return out;
  for (State s = 0; s < n; ++s)
    if (reached[s] && ends[s]) renamed[s] = out.add_state(accepts_[s]);
  for (State s = 0; s < n; ++s) {
    if (renamed[s] == kNone) continue;
    for (std::size_t c = 0; c < width; ++c)
      if (const auto to = next(s, c); to != kNone && renamed[to] != kNone) out.set_next(renamed[s], c, renamed[to]);
  }
  return out;
}

Dfa Dfa::merged() const {
  // Moore's refinement. It takes as many rounds as the longest way on which two states stay alike; where that is long
  // (a count), the states differ anyway, and a coarse stop leaves them apart.
  const auto n = states();
  const auto width = classes_.size();
  std::vector<State> group(n);
  for (State s = 0; s < n; ++s) group[s] = accepts_[s] ? 1 : 0;
  std::size_t groups = 0;
  std::size_t budget = 4'000'000;
  while (true) {
    if (budget < n * (width + 1)) return *this;
    budget -= n * (width + 1);
    std::map<std::vector<State>, State> known;
    std::vector<State> refined(n);
    for (State s = 0; s < n; ++s) {
      std::vector<State> key{group[s]};
      for (std::size_t c = 0; c < width; ++c) key.push_back(next(s, c) == kNone ? kNone : group[next(s, c)]);
      refined[s] = known.try_emplace(std::move(key), static_cast<State>(known.size())).first->second;
    }
    group = std::move(refined);
    if (known.size() == groups) break;
    groups = known.size();
  }
  // Groups are numbered in the order of their first state: the start's is 0.
  Dfa out(classes_);
  std::vector<State> first(groups, kNone);
  for (State s = 0; s < n; ++s)
    if (first[group[s]] == kNone) {
      first[group[s]] = s;
      out.add_state(accepts_[s]);
    }
  for (State g = 0; g < groups; ++g)
    for (std::size_t c = 0; c < width; ++c)
      if (const auto to = next(first[g], c); to != kNone) out.set_next(g, c, group[to]);
  return out;
}

Dfa Dfa::tidied() const { return trimmed().merged(); }

}  // namespace sluice::text::grammar
