#include "recogniser.h"

#include <algorithm>
#include <limits>

#include "common/utf8.h"

namespace sluice::text::grammar::test {

bool Recogniser::accepts(std::string_view text) {
  text_ = text;
  known_.clear();
  return ends(g_.root(), 0).contains(text.size());
}

const Recogniser::Ends& Recogniser::ends(NodeIndex node, std::size_t at) {
  const auto known = known_.find({node, at});
  if (known != known_.end()) return known->second;
  auto found = find(node, at);
  return known_[{node, at}] = std::move(found);
}

Recogniser::Ends Recogniser::after(NodeIndex node, const Ends& from) {
  Ends out;
  for (const auto at : from) {
    const auto& more = ends(node, at);
    out.insert(more.begin(), more.end());
  }
  return out;
}

Recogniser::Ends Recogniser::find(NodeIndex node, std::size_t at) {
  const auto& n = g_.node(node);
  Ends out;
  switch (n.op) {
    case Op::literal:
      if (text_.substr(at).starts_with(n.bytes)) out.insert(at + n.bytes.size());
      return out;
    case Op::chars: {
      const auto step = utf8_step(text_.substr(at));
      if (step.valid && n.set.contains(step.code_point)) out.insert(at + step.length);
      return out;
    }
    case Op::sequence:
      out.insert(at);
      for (const auto c : n.children) out = after(c, out);
      return out;
    case Op::choice:
      for (const auto c : n.children) {
        const auto& more = ends(c, at);
        out.insert(more.begin(), more.end());
      }
      return out;
    case Op::repeat: {
      Ends now{at};
      for (std::uint64_t k = 0; !now.empty(); ++k) {
        if (k >= n.least) out.insert(now.begin(), now.end());
        if (n.most != Node::kUnbounded && k >= n.most) break;
        auto next = after(n.children.front(), now);
        if (next == now) {  // nothing more, however often
          out.insert(now.begin(), now.end());
          break;
        }
        now = std::move(next);
        // Where nothing is a way too, the places only grow, up to all of the text.
        if (k > n.least + text_.size() + 1) break;
      }
      return out;
    }
    case Op::rule:
      return ends(*g_.rule_body(n.rule), at);
  }
  return out;
}

Walker::Walker(const Grammar& grammar, std::uint64_t seed)
    : g_(grammar), random_(seed), cost_(grammar.nodes().size(), std::numeric_limits<std::uint32_t>::max()) {
  constexpr std::uint64_t kNever = std::numeric_limits<std::uint32_t>::max();
  for (bool changed = true; changed;) {
    changed = false;
    for (NodeIndex i = 0; i < cost_.size(); ++i) {
      const auto& n = g_.node(i);
      std::uint64_t cost = 0;
      if (n.op == Op::literal) cost = n.bytes.size();
      if (n.op == Op::chars) cost = n.set.empty() ? kNever : 1;
      if (n.op == Op::sequence)
        for (const auto c : n.children) cost += cost_[c];
      if (n.op == Op::choice) {
        cost = kNever;
        for (const auto c : n.children) cost = std::min(cost, cost_[c]);
      }
      if (n.op == Op::repeat) cost = n.least == 0 ? 0 : n.least * cost_[n.children.front()];
      if (n.op == Op::rule) cost = 1 + cost_[*g_.rule_body(n.rule)];
      cost = std::min(cost, kNever);
      changed = changed || cost < cost_[i];
      cost_[i] = std::min(cost_[i], cost);
    }
  }
}

std::string Walker::walk(std::size_t size) {
  out_.clear();
  size_ = size;
  depth_ = 0;
  visit(g_.root());
  return out_;
}

void Walker::visit(NodeIndex node) {
  const auto& n = g_.node(node);
  const bool hurry = out_.size() > size_ || depth_ > 2'000;
  ++depth_;
  switch (n.op) {
    case Op::literal:
      out_ += n.bytes;
      break;
    case Op::chars:
      append_utf8(out_, pick(n.set));
      break;
    case Op::sequence:
      for (const auto c : n.children) visit(c);
      break;
    case Op::choice:
      visit(hurry ? *std::ranges::min_element(n.children, {}, [&](auto c) { return cost_[c]; })
                  : n.children[below(n.children.size())]);
      break;
    case Op::repeat: {
      const auto room = std::min<std::uint64_t>(n.most - n.least, below(8) == 0 ? 40 : 4);
      const auto times = n.least + (hurry ? 0 : below(room + 1));
      for (std::uint64_t k = 0; k < times; ++k) visit(n.children.front());
      break;
    }
    case Op::rule:
      visit(*g_.rule_body(n.rule));
      break;
  }
  --depth_;
}

char32_t Walker::pick(const CodePointSet& set) {
  // Any range alike, so that rare characters come up; its ends and ASCII more often.
  const auto r = set.ranges()[below(set.ranges().size())];
  if (below(4) == 0) return below(2) == 0 ? r.first : r.last;
  if (r.first < 0x7F && below(2) == 0)
    return r.first + static_cast<char32_t>(below(std::min<char32_t>(r.last, 0x7E) - r.first + 1));
  return r.first + static_cast<char32_t>(below(r.last - r.first + 1));
}

}  // namespace sluice::text::grammar::test
