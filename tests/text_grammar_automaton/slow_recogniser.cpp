#include "slow_recogniser.h"

#include <algorithm>

namespace sluice::text::grammar::test {
namespace {

std::string encoded(char32_t c) {
  const auto byte = [](char32_t x) { return static_cast<char>(static_cast<unsigned char>(x)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xC0 | (c >> 6U)), byte(0x80 | (c & 0x3F))};
  if (c < 0x10000) return {byte(0xE0 | (c >> 12U)), byte(0x80 | ((c >> 6U) & 0x3F)), byte(0x80 | (c & 0x3F))};
  return {byte(0xF0 | (c >> 18U)), byte(0x80 | ((c >> 12U) & 0x3F)), byte(0x80 | ((c >> 6U) & 0x3F)),
          byte(0x80 | (c & 0x3F))};
}

bool surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

}  // namespace

SlowRecogniser::SlowRecogniser(const Grammar& grammar) : g_(grammar), matches_(grammar.nodes().size(), false) {
  for (bool changed = true; changed;) {
    changed = false;
    for (NodeIndex i = 0; i < matches_.size(); ++i) {
      const auto& n = g_.node(i);
      const auto child = [&](NodeIndex c) { return matches_[c]; };
      bool m = false;
      if (n.op == Op::literal) m = true;
      if (n.op == Op::chars) m = !(n.set & CodePointSet(0xD800, 0xDFFF).complement()).empty();
      if (n.op == Op::sequence) m = std::ranges::all_of(n.children, child);
      if (n.op == Op::choice) m = std::ranges::any_of(n.children, child);
      if (n.op == Op::repeat) m = n.least == 0 || child(n.children[0]);
      if (n.op == Op::rule) m = child(*g_.rule_body(n.rule));
      if (m && !matches_[i]) matches_[i] = changed = true;
    }
  }
}

SlowRecogniser::Verdict SlowRecogniser::judge(std::string_view text) {
  text_ = text;
  open_ = false;
  known_.clear();
  if (!matches_[g_.root()]) return {};
  const bool whole = ends(g_.root(), 0).contains(text.size());
  return {whole, whole || open_, open_};
}

const SlowRecogniser::Ends& SlowRecogniser::ends(NodeIndex node, std::size_t from) {
  if (const auto at = known_.find({node, from}); at != known_.end()) return at->second;
  Ends out;
  const auto& n = g_.node(node);
  switch (n.op) {
    case Op::literal:
      literal(n, from, out);
      break;
    case Op::chars:
      chars(n, from, out);
      break;
    case Op::sequence:
      out.insert(from);
      for (const auto c : n.children) {
        Ends next;
        for (const auto at : out) next.merge(Ends(ends(c, at)));
        out = std::move(next);
      }
      break;
    case Op::choice:
      for (const auto c : n.children)
        if (matches_[c]) out.merge(Ends(ends(c, from)));
      break;
    case Op::repeat:
      repeat(n, from, out);
      break;
    case Op::rule:
      out = ends(*g_.rule_body(n.rule), from);
      break;
  }
  return known_[{node, from}] = std::move(out);
}

void SlowRecogniser::literal(const Node& n, std::size_t from, Ends& out) {
  const auto rest = text_.substr(from, n.bytes.size());
  if (rest == n.bytes)
    out.insert(from + n.bytes.size());
  else if (rest.size() < n.bytes.size() && n.bytes.starts_with(rest))
    open_ = true;
}

void SlowRecogniser::chars(const Node& n, std::size_t from, Ends& out) {
  const auto rest = text_.substr(from, 4);
  for (const auto& r : n.set.ranges()) {
    // Tests have small sets, or ones whose ends and a few more say enough: every character of their texts is looked up.
    for (std::size_t size = 1; size <= rest.size(); ++size) {
      const auto candidate = rest.substr(0, size);
      char32_t c = static_cast<unsigned char>(candidate[0]);
      if (size > 1) {
        c &= size == 2 ? 0x1F : size == 3 ? 0x0F : 0x07;
        for (const char b : candidate.substr(1)) c = c << 6U | (static_cast<unsigned char>(b) & 0x3F);
      }
      if (c <= 0x10FFFF && !surrogate(c) && c >= r.first && c <= r.last && encoded(c) == candidate)
        out.insert(from + size);
    }
    if (rest.size() == 4 || open_) continue;
    // Does any character of the range begin with what is left? Those that begin with it are one run.
    if (rest.empty()) {
      const auto first = surrogate(r.first) ? char32_t{0xE000} : r.first;
      open_ = open_ || first <= r.last;
      continue;
    }
    for (std::size_t size = rest.size() + 1; size <= 4; ++size) {
      std::string low(rest), high(rest);
      low.resize(size, static_cast<char>(0x80));
      high.resize(size, static_cast<char>(0xBF));
      const auto value = [&](const std::string& s) {
        char32_t c = static_cast<unsigned char>(s[0]) & (size == 2 ? 0x1FU : size == 3 ? 0x0FU : 0x07U);
        for (const char b : s.substr(1)) c = c << 6U | (static_cast<unsigned char>(b) & 0x3FU);
        return c;
      };
      for (auto c = std::max(value(low), r.first); c <= std::min({value(high), r.last, char32_t{0x10FFFF}}); ++c) {
        if (surrogate(c) || !encoded(c).starts_with(rest) || encoded(c).size() == rest.size()) continue;
        open_ = true;
        break;
      }
    }
  }
}

void SlowRecogniser::repeat(const Node& n, std::size_t from, Ends& out) {
  if (n.least == 0) out.insert(from);
  if (n.most == 0 || !matches_[n.children[0]]) return;
  Ends now{from};
  std::set<Ends> before;
  for (std::uint32_t count = 1; count <= n.most && !now.empty(); ++count) {
    Ends next;
    for (const auto at : now) next.merge(Ends(ends(n.children[0], at)));
    now = std::move(next);
    if (count >= n.least) {
      out.insert(now.begin(), now.end());
      if (!before.insert(now).second) break;  // it goes round
    }
  }
}

}  // namespace sluice::text::grammar::test
