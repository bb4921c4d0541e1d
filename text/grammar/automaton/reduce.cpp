#include <algorithm>
#include <map>
#include <span>
#include <unordered_map>
#include <utility>

#include "text/grammar/automaton/fragment.h"

namespace sluice::text::grammar {
namespace {

using Set = std::vector<std::uint32_t>;

struct HashSet {
  std::size_t operator()(const Set& s) const noexcept {
    std::size_t h = s.size();
    for (const auto x : s) h = (h ^ x) * 0x9E3779B97F4A7C15ULL;
    return h ^ (h >> 29U);
  }
};

/// The subset construction over bytes; calls stay as they are.
class Subsets {
 public:
  Subsets(const Reduced& in, std::size_t& work) : in_(in), work_(work) {}

  /// False: too many.
  bool make() {
    const auto most = 2 * in_.states.size() + 256;
    static_cast<void>(id({0}));
    for (std::uint32_t i = 0; i < sets_.size(); ++i) {
      if (sets_.size() > most || !expand(i)) return false;
    }
    return true;
  }
  Reduced take() { return std::move(out_); }

 private:
  std::uint32_t id(Set s) {
    const auto [at, fresh] = ids_.try_emplace(std::move(s), static_cast<std::uint32_t>(sets_.size()));
    if (fresh) {
      sets_.push_back(&at->first);
      out_.states.emplace_back();
    }
    return at->second;
  }

  bool expand(std::uint32_t i) {
    std::vector<ByteEdge> edges;
    Reduced::State made;
    for (const auto s : *sets_[i]) {
      const auto& state = in_.states[s];
      made.final = made.final || state.final;
      edges.insert(edges.end(), state.edges.begin(), state.edges.end());
      for (const auto& c : state.calls) made.calls.push_back({c.unit, id({c.back})});
    }
    if (edges.size() > work_) return false;
    work_ -= edges.size();
    if (!split(edges, made.edges)) return false;
    std::ranges::sort(made.calls);
    made.calls.erase(std::ranges::unique(made.calls).begin(), made.calls.end());
    out_.states[i] = std::move(made);
    return true;
  }

  /// Cuts overlapping ranges where any of them begins or ends.
  bool split(std::vector<ByteEdge>& edges, std::vector<ByteEdge>& out) {
    std::ranges::sort(edges);
    std::vector<ByteEdge> open;
    std::size_t next = 0;
    unsigned at = 0;
    while (next < edges.size() || !open.empty()) {
      if (open.empty()) at = edges[next].first;
      while (next < edges.size() && edges[next].first == at) open.push_back(edges[next++]);
      unsigned last = next < edges.size() ? edges[next].first - 1U : 255U;
      Set to;
      for (const auto& e : open) {
        last = std::min<unsigned>(last, e.last);
        to.push_back(e.to);
      }
      if (open.size() > work_) return false;
      work_ -= open.size();
      std::ranges::sort(to);
      to.erase(std::ranges::unique(to).begin(), to.end());
      const auto target = id(std::move(to));
      if (!out.empty() && out.back().to == target && out.back().last + 1U == at)
        out.back().last = static_cast<std::uint8_t>(last);
      else
        out.push_back({static_cast<std::uint8_t>(at), static_cast<std::uint8_t>(last), target});
      std::erase_if(open, [&](const ByteEdge& e) { return e.last == last; });
      at = last + 1;
    }
    return true;
  }

  const Reduced& in_;
  std::size_t& work_;
  Reduced out_;
  std::unordered_map<Set, std::uint32_t, HashSet> ids_;
  std::vector<const Set*> sets_;
};

/// What a state is, in words.
void describe(const Reduced::State& s, std::vector<std::uint32_t>& words) {
  words.clear();
  words.push_back(s.final ? 1 : 0);
  words.push_back(static_cast<std::uint32_t>(s.edges.size()));
  for (const auto& e : s.edges) {
    words.push_back(e.first | std::uint32_t{e.last} << 8U);
    words.push_back(e.to);
  }
  for (const auto& c : s.calls) {
    words.push_back(c.unit);
    words.push_back(c.back);
  }
}

void tidy(Reduced::State& s) {
  std::ranges::sort(s.edges);
  s.edges.erase(std::ranges::unique(s.edges).begin(), s.edges.end());
  std::vector<ByteEdge> joined;
  for (const auto& e : s.edges) {
    if (!joined.empty() && joined.back().to == e.to && joined.back().last + 1 == e.first)
      joined.back().last = e.last;
    else
      joined.push_back(e);
  }
  s.edges = std::move(joined);
  std::ranges::sort(s.calls);
  s.calls.erase(std::ranges::unique(s.calls).begin(), s.calls.end());
}

}  // namespace

Reduced determined(Reduced in, std::size_t& work) {
  Subsets subsets(in, work);
  return subsets.make() ? subsets.take() : std::move(in);
}

Reduced merged(Reduced in) {
  constexpr int kRounds = 8;
  std::vector<std::uint32_t> words;
  for (int round = 0; round < kRounds; ++round) {
    std::unordered_map<Set, std::uint32_t, HashSet> known;
    std::vector<std::uint32_t> becomes(in.states.size());
    Reduced out;
    for (std::uint32_t i = 0; i < in.states.size(); ++i) {
      describe(in.states[i], words);
      const auto [at, fresh] = known.try_emplace(words, static_cast<std::uint32_t>(out.states.size()));
      if (fresh) out.states.push_back(std::move(in.states[i]));
      becomes[i] = at->second;
    }
    const bool same = out.states.size() == becomes.size();
    for (auto& s : out.states) {
      for (auto& e : s.edges) e.to = becomes[e.to];
      for (auto& c : s.calls) c.back = becomes[c.back];
      tidy(s);
    }
    in = std::move(out);
    if (same) break;
  }
  return in;
}

}  // namespace sluice::text::grammar
