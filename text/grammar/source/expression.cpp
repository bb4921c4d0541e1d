#include "text/grammar/source/expression.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/dfa.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

using regex::Place;
using Kind = regex::Node::Kind;

/// One way through the expression, without the ^ before and the $ after it.
struct Branch {
  std::span<const regex::NodePtr> terms;
  bool begins = false, ends = false;
};

bool is(const regex::Node& n, Place place) { return n.kind == Kind::place && n.place == place; }

bool has_place(const regex::Node& n) {
  return n.kind == Kind::place || std::ranges::any_of(n.children, [](const auto& c) { return has_place(*c); });
}

Branch branch(std::span<const regex::NodePtr> terms) {
  Branch b{terms};
  for (; !b.terms.empty() && is(*b.terms.front(), Place::text_begin); b.terms = b.terms.subspan(1)) b.begins = true;
  for (; !b.terms.empty() && is(*b.terms.back(), Place::text_end); b.terms = b.terms.first(b.terms.size() - 1))
    b.ends = true;
  return b;
}

/// The ways of the outermost alternation; a place deeper inside stays where it is. parse_ecma's root is a concatenation
/// or an alternation of them.
void collect(const regex::Node& n, std::vector<Branch>& out) {
  if (n.kind == Kind::concatenation && (n.children.size() != 1 || (n.children.front()->kind != Kind::concatenation &&
                                                                   n.children.front()->kind != Kind::alternation))) {
    out.push_back(branch(n.children));
    return;
  }
  for (const auto& c : n.children) collect(*c, out);
}

std::vector<Branch> branches(const regex::Node& tree) {
  std::vector<Branch> out;
  collect(tree, out);
  return out;
}

NodeIndex add(const regex::Node& n, Spelling& spelling);

NodeIndex add(std::span<const regex::NodePtr> terms, Spelling& spelling) {
  std::vector<NodeIndex> children;
  children.reserve(terms.size());
  for (const auto& t : terms) children.push_back(add(*t, spelling));
  return children.empty() ? spelling.grammar().literal("") : spelling.grammar().sequence(std::move(children));
}

NodeIndex add(const regex::Node& n, Spelling& spelling) {
  auto& g = spelling.grammar();
  switch (n.kind) {
    case Kind::literal:
      return spelling.text(n.literal);
    case Kind::set:
      return spelling.one_of(n.set);
    case Kind::repeat:
      return g.repeat(add(*n.children.front(), spelling), n.min,
                      n.max == regex::Node::kNoLimit ? Node::kUnbounded : n.max);
    case Kind::alternation: {
      std::vector<NodeIndex> children;
      for (const auto& c : n.children) children.push_back(add(*c, spelling));
      return g.choice(std::move(children));
    }
    default:
      return add(n.children, spelling);
  }
}

constexpr std::uint64_t kMany = Node::kUnbounded;

Lengths of(const regex::Node& n) {
  const auto plus = [](std::uint64_t a, std::uint64_t b) { return std::min(a + b, kMany); };
  const auto times = [](std::uint64_t a, std::uint64_t b) { return std::min(a * b, kMany); };
  Lengths out{0, 0};
  switch (n.kind) {
    case Kind::literal:
      for (std::string_view rest = n.literal; !rest.empty(); rest.remove_prefix(utf8_step(rest).length)) ++out.least;
      return {out.least, out.least};
    case Kind::set:
      return {1, 1};
    case Kind::concatenation:
      for (const auto& c : n.children) {
        const auto part = of(*c);
        out = Lengths{plus(out.least, part.least), plus(out.most, part.most)};
      }
      return out;
    case Kind::alternation:
      out.least = kMany;
      for (const auto& c : n.children) {
        const auto part = of(*c);
        out = Lengths{std::min(out.least, part.least), std::max(out.most, part.most)};
      }
      return out;
    case Kind::repeat: {
      const auto part = of(*n.children.front());
      const auto unbounded = n.max == regex::Node::kNoLimit && part.most > 0;
      return {times(part.least, n.min), unbounded ? kMany : times(part.most, n.max)};
    }
    default:
      return out;
  }
}

}  // namespace

std::optional<RepeatedSet> repeated_set(const regex::Node& tree, bool anywhere) {
  const auto all = branches(tree);
  if (all.size() != 1 || all.front().terms.size() != 1) return std::nullopt;
  const auto& b = all.front();
  const auto& n = *b.terms.front();
  if (n.kind != Kind::repeat || n.children.front()->kind != Kind::set || (anywhere && (!b.begins || !b.ends)))
    return std::nullopt;
  return RepeatedSet{&n.children.front()->set, n.min, n.max == regex::Node::kNoLimit ? Node::kUnbounded : n.max};
}

std::optional<Lengths> lengths(const regex::Node& tree, bool anywhere) {
  const auto all = branches(tree);
  if (anywhere && !std::ranges::all_of(all, [](const Branch& b) { return b.begins && b.ends; })) return std::nullopt;
  return of(tree);
}

Result<NodeIndex> add_expression(const regex::Node& tree, bool anywhere, Spelling& spelling, const std::string& name) {
  auto& g = spelling.grammar();
  const auto all = branches(tree);
  const bool places = std::ranges::any_of(
      all, [](const Branch& b) { return std::ranges::any_of(b.terms, [](const auto& t) { return has_place(*t); }); });
  const bool held = !anywhere || std::ranges::all_of(all, [](const Branch& b) { return b.begins && b.ends; });
  if (places || !held) {
    // One state at a time: a way in and out anywhere would leave many open at once.
    auto dfa = Dfa::of(tree, anywhere, places ? 2'000'000 : 200'000);
    if (dfa && (places || dfa->states() <= 512)) return add_dfa(*dfa, spelling, name);
    if (places) return std::unexpected(std::move(dfa).error());
  }
  std::vector<NodeIndex> ways;
  for (const auto& b : all) {
    std::vector<NodeIndex> parts;
    if (anywhere && !b.begins) parts.push_back(g.repeat(spelling.one_of(scalar_values()), 0));
    parts.push_back(add(b.terms, spelling));
    if (anywhere && !b.ends) parts.push_back(g.repeat(spelling.one_of(scalar_values()), 0));
    ways.push_back(g.sequence(std::move(parts)));
  }
  return g.choice(std::move(ways));
}

}  // namespace sluice::text::grammar
