#include "text/grammar/source/ecma_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

using regex::Node;
using regex::NodePtr;
using Kind = regex::Node::Kind;

NodePtr make(Kind kind) { return std::make_unique<Node>(kind); }

NodePtr make_set(CodePointSet set) {
  auto n = make(Kind::set);
  n->set = std::move(set);
  return n;
}

NodePtr make_place(regex::Place place) {
  auto n = make(Kind::place);
  n->place = place;
  return n;
}

NodePtr make_literal(char32_t c) {
  auto n = make(Kind::literal);
  append_utf8(n->literal, c);
  return n;
}

class Parser {
 public:
  Parser(std::string_view pattern, const GrammarLimits& limits) : c_{pattern}, limits_(limits) {}

  Result<NodePtr> run() {
    SLUICE_ASSIGN(auto tree, alternation(0));
    if (!c_.done()) return c_.broken("a ')' without its '('");
    return tree;
  }

 private:
  /// Up to the ')' of the group, or the end.
  Result<NodePtr> alternation(std::size_t depth) {
    if (depth > std::min<std::size_t>(limits_.depth, 128)) return c_.refuse("a group nested this deep");
    auto out = make(Kind::alternation);
    do {
      SLUICE_ASSIGN(auto branch, concatenation(depth));
      out->children.push_back(std::move(branch));
    } while (c_.eat("|"));
    if (out->children.size() == 1) return std::move(out->children.front());
    return out;
  }

  Result<NodePtr> concatenation(std::size_t depth) {
    auto out = make(Kind::concatenation);
    while (!c_.done() && c_.peek() != '|' && c_.peek() != ')') {
      SLUICE_ASSIGN(auto term, atom(depth));
      SLUICE_ASSIGN(term, quantified(std::move(term)));
      if (term->kind == Kind::literal && !out->children.empty() && out->children.back()->kind == Kind::literal)
        out->children.back()->literal += term->literal;
      else
        out->children.push_back(std::move(term));
    }
    return out;
  }

  Result<NodePtr> atom(std::size_t depth) {
    switch (c_.peek()) {
      case '[': {
        SLUICE_ASSIGN(auto set, ecma_class(c_));
        return make_set(std::move(set));
      }
      case '(':
        return group(depth);
      case '.':
        ++c_.at;
        return make_set(ecma_dot());
      case '^':
        ++c_.at;
        return make_place(regex::Place::text_begin);
      case '$':
        ++c_.at;
        return make_place(regex::Place::text_end);
      case '*':
      case '+':
      case '?':
        return c_.broken("a repeat of nothing");
      case '{':
        if (counts(false)) return c_.broken("a repeat of nothing");
        return make_literal(c_.take());
      case '\\': {
        if (c_.eat("\\A")) return make_place(regex::Place::text_begin);
        if (c_.eat("\\Z") || c_.eat("\\z")) return make_place(regex::Place::text_end);
        SLUICE_ASSIGN(auto e, ecma_escape(c_, false, Reading::narrow));
        return e.character ? make_literal(*e.character) : make_set(std::move(e.set));
      }
      default:
        return make_literal(c_.take());
    }
  }

  Result<NodePtr> group(std::size_t depth) {
    if (c_.in.substr(c_.at).starts_with("(?=") || c_.in.substr(c_.at).starts_with("(?!"))
      return c_.refuse("the look-ahead (?= or (?!");
    if (c_.in.substr(c_.at).starts_with("(?<=") || c_.in.substr(c_.at).starts_with("(?<!"))
      return c_.refuse("the look-behind (?<= or (?<!");
    if (c_.in.substr(c_.at).starts_with("(?>")) return c_.refuse("the atomic group (?>");
    if (c_.in.substr(c_.at).starts_with("(?P=") || c_.in.substr(c_.at).starts_with("(?P>"))
      return c_.refuse("the backreference (?P");
    if (c_.eat("(?<") || c_.eat("(?P<")) {
      const auto close = c_.in.find('>', c_.at);
      if (close == std::string_view::npos || close == c_.at) return c_.broken("a group's name without its end");
      c_.at = close + 1;
    } else if (c_.peek(1) == '?' && c_.peek(2) != ':') {
      return c_.refuse(fmt::format("the group (?{}", c_.peek(2)));
    } else if (!c_.eat("(?:")) {
      ++c_.at;
    }
    SLUICE_ASSIGN(auto inside, alternation(depth + 1));
    if (!c_.eat(")")) return c_.broken("a '(' without its ')'");
    return inside;
  }

  Result<NodePtr> quantified(NodePtr term) {
    Counts n{0, Node::kNoLimit};
    if (c_.eat("+")) {
      n.least = 1;
    } else if (c_.eat("?")) {
      n.most = 1;
    } else if (!c_.eat("*")) {
      if (c_.in.substr(c_.at).starts_with("{,") && c_.peek(2) >= '0' && c_.peek(2) <= '9')
        return c_.refuse("a repeat without its least count (write {0,n})");
      const auto counted = counts(true);
      if (!counted) return term;
      n = *counted;
      if (n.least > n.most) return c_.broken("a repeat whose least count is above its most");
      if (n.least > limits_.repeats || (n.most != Node::kNoLimit && n.most > limits_.repeats))
        return c_.refuse(fmt::format("a repeat that counts beyond {}", limits_.repeats));
    }
    if (c_.peek() == '?') ++c_.at;  // lazy: the same texts
    if (c_.peek() == '+') return c_.refuse("a possessive repeat");
    if (c_.peek() == '*' || c_.peek() == '?' || counts(false)) return c_.broken("a repeat of a repeat");
    if (term->kind == Kind::place) return c_.refuse("a repeat of ^ or $");
    auto out = make(Kind::repeat);
    out->min = n.least;
    out->max = n.most;
    out->children.push_back(std::move(term));
    return out;
  }

  struct Counts {
    std::uint32_t least, most;
  };
  /// {n}, {n,} or {n,m}; nothing where the brace is a character. Large numbers saturate.
  std::optional<Counts> counts(bool pass) {
    if (c_.peek() != '{') return std::nullopt;
    auto ahead = c_;
    ++ahead.at;
    const auto number = [&]() -> std::optional<std::uint32_t> {
      std::optional<std::uint32_t> n;
      for (; ahead.peek() >= '0' && ahead.peek() <= '9'; ++ahead.at)
        n = std::min<std::uint32_t>(n.value_or(0) * 10 + static_cast<std::uint32_t>(ahead.peek() - '0'), 100'000'000);
      return n;
    };
    const auto least = number();
    if (!least) return std::nullopt;
    auto most = least;
    if (ahead.eat(",")) most = number().value_or(Node::kNoLimit);
    if (!ahead.eat("}")) return std::nullopt;
    if (pass) c_ = ahead;
    return Counts{*least, *most};
  }

  regex::Cursor c_;
  const GrammarLimits& limits_;
};

}  // namespace

Result<NodePtr> parse_ecma(std::string_view pattern, const GrammarLimits& limits) {
  if (pattern.size() > limits.bytes)
    return fail(Errc::invalid_argument, "a regular expression of {} bytes, more than the {} allowed", pattern.size(),
                limits.bytes);
  if (utf8_valid_prefix(pattern) != pattern.size())
    return fail(Errc::invalid_argument, "a regular expression that is not UTF-8");
  return Parser(pattern, limits).run();
}

}  // namespace sluice::text::grammar
