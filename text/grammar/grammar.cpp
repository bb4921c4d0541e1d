#include "text/grammar/grammar.h"

#include <algorithm>
#include <utility>

#include "common/utf8.h"

namespace sluice::text::grammar {
namespace {

/// What holds of a node when it holds of its children: all of a sequence, one of a choice. The least solution, found in
/// time linear in the grammar: a node is told once that a child became true.
class Derivation {
 public:
  Derivation(const Grammar& g, bool nullable) : g_(g), nullable_(nullable), holds_(g.nodes().size(), false) {
    link();
    for (NodeIndex i = 0; i < holds_.size(); ++i)
      if (at_once(i)) mark(i);
    while (!work_.empty()) {
      const auto i = work_.back();
      work_.pop_back();
      for (auto e = first_[i]; e < first_[i + 1]; ++e) tell(parents_[e]);
    }
  }

  [[nodiscard]] bool holds(NodeIndex i) const { return holds_[i]; }

 private:
  /// parents_[first_[i] .. first_[i + 1]) are the nodes whose truth may follow from that of i.
  void link() {
    first_.assign(holds_.size() + 1, 0);
    missing_.assign(holds_.size(), 1);
    const auto each = [&](auto&& visit) {
      for (NodeIndex i = 0; i < holds_.size(); ++i) {
        const auto& n = g_.node(i);
        for (const auto c : n.children) visit(c, i);
        if (n.op != Op::rule) continue;
        if (const auto body = g_.rule_body(n.rule)) visit(*body, i);
      }
    };
    for (NodeIndex i = 0; i < holds_.size(); ++i)
      if (g_.node(i).op == Op::sequence) missing_[i] = g_.node(i).children.size();
    each([&](NodeIndex child, NodeIndex) { ++first_[child + 1]; });
    for (std::size_t i = 0; i < holds_.size(); ++i) first_[i + 1] += first_[i];
    parents_.resize(first_.back());
    auto next = first_;
    each([&](NodeIndex child, NodeIndex parent) { parents_[next[child]++] = parent; });
  }

  [[nodiscard]] bool at_once(NodeIndex i) const {
    const auto& n = g_.node(i);
    switch (n.op) {
      case Op::literal:
        return !nullable_ || n.bytes.empty();
      case Op::chars:
        return !nullable_ && !n.set.empty();
      case Op::sequence:
        return n.children.empty();
      case Op::choice:
        return false;
      case Op::repeat:
        return n.least == 0;
      case Op::rule:
        return !nullable_ && !g_.rule_body(n.rule);
    }
    return false;
  }

  void mark(NodeIndex i) {
    if (holds_[i]) return;
    holds_[i] = true;
    work_.push_back(i);
  }

  void tell(NodeIndex parent) {
    if (--missing_[parent] == 0 || g_.node(parent).op != Op::sequence) mark(parent);
  }

  const Grammar& g_;
  bool nullable_;
  std::vector<bool> holds_;
  std::vector<std::size_t> first_, missing_;
  std::vector<NodeIndex> parents_, work_;
};

}  // namespace

NodeIndex Grammar::add(Node n) {
  nodes_.push_back(std::move(n));
  return static_cast<NodeIndex>(nodes_.size() - 1);
}

NodeIndex Grammar::literal(std::string_view bytes) {
  literal_bytes_ += bytes.size();
  return add({.op = Op::literal, .bytes = std::string(bytes)});
}

NodeIndex Grammar::chars(CodePointSet set) { return add({.op = Op::chars, .set = std::move(set)}); }

NodeIndex Grammar::sequence(std::vector<NodeIndex> children) {
  if (children.size() == 1) return children.front();
  return add({.op = Op::sequence, .children = std::move(children)});
}

NodeIndex Grammar::choice(std::vector<NodeIndex> children) {
  if (children.size() == 1) return children.front();
  return add({.op = Op::choice, .children = std::move(children)});
}

NodeIndex Grammar::repeat(NodeIndex child, std::uint32_t least, std::uint32_t most) {
  if (least == 1 && most == 1) return child;
  return add({.op = Op::repeat, .children = {child}, .least = least, .most = most});
}

NodeIndex Grammar::rule(RuleIndex rule) { return add({.op = Op::rule, .rule = rule}); }

RuleIndex Grammar::declare(std::string name) {
  rules_.push_back({std::move(name), std::nullopt});
  return static_cast<RuleIndex>(rules_.size() - 1);
}

void Grammar::define(RuleIndex rule, NodeIndex body) { rules_[rule].body = body; }

void Grammar::prune() {
  const Derivation matches(*this, false);
  for (auto& n : nodes_) {
    if (n.op == Op::choice) std::erase_if(n.children, [&](NodeIndex c) { return !matches.holds(c); });
    if (n.op == Op::repeat && n.least == 0 && !matches.holds(n.children.front())) n = Node{};
  }
}

bool Grammar::can_match(NodeIndex node) const { return Derivation(*this, false).holds(node); }

Result<> Grammar::check(const GrammarLimits& limits) const {
  SLUICE_TRY(check_sizes(limits));
  if (root_ >= nodes_.size()) return fail(Errc::invalid_argument, "the grammar has no root");
  for (const auto& r : rules_)
    if (!r.body) return fail(Errc::invalid_argument, "the rule '{}' is used but not defined", r.name);
  SLUICE_TRY(check_left_recursion());
  if (!can_match(root_)) return fail(Errc::invalid_argument, "no text of finite length matches the grammar");
  return {};
}

Result<> Grammar::check_sizes(const GrammarLimits& limits) const {
  if (nodes_.size() > limits.nodes)
    return fail(Errc::invalid_argument, "the grammar has {} parts, more than the {} allowed", nodes_.size(),
                limits.nodes);
  if (literal_bytes_ > limits.bytes)
    return fail(Errc::invalid_argument, "the grammar's texts have {} bytes, more than the {} allowed", literal_bytes_,
                limits.bytes);
  // Who walks the nodes may recurse, since this is checked.
  const auto deepest = 16 * limits.depth;
  std::vector<std::size_t> depth(nodes_.size(), 1);
  std::size_t links = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto& n = nodes_[i];
    if (n.op == Op::literal && utf8_valid_prefix(n.bytes) != n.bytes.size())
      return fail(Errc::invalid_argument, "a text of the grammar is not UTF-8");
    if (n.op == Op::repeat) {
      if (n.most < n.least)
        return fail(Errc::invalid_argument, "a repetition of at least {} and at most {}", n.least, n.most);
      if (n.least > limits.repeats || (n.most != Node::kUnbounded && n.most > limits.repeats))
        return fail(Errc::invalid_argument, "a repetition counts beyond the {} allowed", limits.repeats);
    }
    links += n.children.size();
    if (links > 2 * limits.nodes)
      return fail(Errc::invalid_argument, "the grammar's parts have more than the {} links allowed", 2 * limits.nodes);
    for (const auto c : n.children) depth[i] = std::max(depth[i], depth[c] + 1);
    if (depth[i] > deepest) return fail(Errc::invalid_argument, "the grammar is nested deeper than {}", deepest);
  }
  return {};
}

Result<> Grammar::check_left_recursion() const {
  const Derivation nullable(*this, true);
  // Depth first over "comes before any character": a node that is met while it is open comes back to itself.
  enum : std::uint8_t { unseen, open, done };
  std::vector<std::uint8_t> state(nodes_.size(), unseen);
  struct Frame {
    NodeIndex node;
    std::size_t next;
  };
  std::vector<Frame> stack;
  const auto child_at = [&](const Frame& f) -> std::optional<NodeIndex> {
    const auto& n = nodes_[f.node];
    if (n.op == Op::rule) return f.next == 0 ? rules_[n.rule].body : std::nullopt;
    if (f.next >= n.children.size() || (n.op == Op::repeat && n.most == 0)) return std::nullopt;
    if (n.op == Op::sequence && f.next > 0 && !nullable.holds(n.children[f.next - 1])) return std::nullopt;
    return n.children[f.next];
  };
  for (NodeIndex start = 0; start < nodes_.size(); ++start) {
    if (state[start] != unseen) continue;
    stack.push_back({start, 0});
    state[start] = open;
    while (!stack.empty()) {
      const auto child = child_at(stack.back());
      if (!child) {
        state[stack.back().node] = done;
        stack.pop_back();
        continue;
      }
      ++stack.back().next;
      if (state[*child] == open) {
        // Every cycle goes through a rule: children are made before their parents.
        const auto from = std::ranges::find(stack, *child, &Frame::node);
        const auto rule = std::find_if(from, stack.end(), [&](Frame f) { return nodes_[f.node].op == Op::rule; });
        return fail(Errc::invalid_argument,
                    "the rule '{}' comes back to itself before it reads a character (left recursion); write it with a "
                    "repetition, as in  a ::= b (\"+\" b)*",
                    rules_[nodes_[rule->node].rule].name);
      }
      if (state[*child] == unseen) {
        state[*child] = open;
        stack.push_back({*child, 0});
      }
    }
  }
  return {};
}

}  // namespace sluice::text::grammar
