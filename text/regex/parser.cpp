#include "text/regex/parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/utf8.h"
#include "text/regex/class_parser.h"
#include "text/unicode/properties.h"

namespace sluice::text::regex {
namespace {

constexpr int kMaxDepth = 64;  // groups in groups; the matcher recurses once for each lookaround or atomic group

NodePtr make(Node::Kind kind) { return std::make_unique<Node>(kind); }

NodePtr make_set(CodePointSet set) {
  auto n = make(Node::Kind::set);
  n->set = std::move(set);
  return n;
}

NodePtr make_literal(char32_t c) {
  auto n = make(Node::Kind::literal);
  append_utf8(n->literal, c);
  return n;
}

NodePtr make_place(Place place) {
  auto n = make(Node::Kind::place);
  n->place = place;
  return n;
}

/// Oniguruma repeats neither a place nor a group that may come down to one.
bool only_a_place(const Node& n) {
  if (n.kind == Node::Kind::place || n.kind == Node::Kind::look) return true;
  if (n.kind == Node::Kind::concatenation) return n.children.size() == 1 && only_a_place(*n.children.front());
  return n.kind == Node::Kind::alternation &&
         std::ranges::any_of(n.children, [](const auto& c) { return only_a_place(*c); });
}

/// What Oniguruma does not have in a lookbehind.
bool looks_or_ends(const Node& n) {
  if (n.kind == Node::Kind::look) return true;
  if (n.kind == Node::Kind::place && (n.place == Place::text_end || n.place == Place::text_end_or_last_newline))
    return true;
  return std::ranges::any_of(n.children, [](const auto& c) { return looks_or_ends(*c); });
}

class Parser {
 public:
  explicit Parser(std::string_view pattern) : c_{pattern} {}

  Result<NodePtr> run() {
    SLUICE_ASSIGN(auto tree, alternation(0));
    if (!c_.done()) return c_.broken("a ')' without its '('");
    return tree;
  }

 private:
  struct Flags {
    bool ignore_case = false;
    bool dot_all = false;
  };

  /// Up to the ')' of the group, or the end.
  Result<NodePtr> alternation(int depth) {
    if (depth > kMaxDepth) return c_.refuse("a group nested this deep");
    const auto outer = flags_;  // flags set inside hold to the end of the group
    auto out = make(Node::Kind::alternation);
    do {
      SLUICE_ASSIGN(auto branch, concatenation(depth));
      out->children.push_back(std::move(branch));
    } while (c_.eat("|"));
    flags_ = outer;
    if (out->children.size() == 1) return std::move(out->children.front());
    return out;
  }

  Result<NodePtr> concatenation(int depth) {
    auto out = make(Node::Kind::concatenation);
    folded_ = '\0';
    while (!c_.done() && c_.peek() != '|' && c_.peek() != ')') {
      SLUICE_ASSIGN(auto term, atom(depth));
      if (!term) continue;
      SLUICE_ASSIGN(term, quantified(std::move(term)));
      append(*out, std::move(term));
    }
    return out;
  }

  static void append(Node& list, NodePtr term) {
    if (term->kind == Node::Kind::literal && !list.children.empty() &&
        list.children.back()->kind == Node::Kind::literal) {
      list.children.back()->literal += term->literal;
    } else {
      list.children.push_back(std::move(term));
    }
  }

  /// Null for what leaves no trace (a comment).
  Result<NodePtr> atom(int depth) {
    const char first = c_.peek();
    if (first != '\\' && first != '[' && first != '(' && first != '.' && first != '^' && first != '$') {
      if (first == '*' || first == '+' || first == '?') return c_.broken("a repeat of nothing");
      if (first == '{') return c_.refuse("'{' that opens no repeat");
      return literal(c_.take());
    }
    folded_ = '\0';
    switch (first) {
      case '[': {
        SLUICE_ASSIGN(auto set, parse_class(c_, flags_.ignore_case));
        return make_set(std::move(set));
      }
      case '(':
        return group(depth);
      case '.':
        ++c_.at;
        return make_set(flags_.dot_all ? CodePointSet(0, CodePointSet::kMax) : CodePointSet('\n', '\n').complement());
      case '^':
        ++c_.at;
        return make_place(Place::line_begin);
      case '$':
        ++c_.at;
        return make_place(Place::line_end);
      default:
        return escape();
    }
  }

  Result<NodePtr> escape() {
    if (c_.eat("\\A")) return make_place(Place::text_begin);
    if (c_.eat("\\z")) return make_place(Place::text_end);
    if (c_.eat("\\Z")) return make_place(Place::text_end_or_last_newline);
    if (c_.eat("\\b")) return make_place(Place::word_edge);
    if (c_.eat("\\B")) return make_place(Place::no_word_edge);
    const auto begin = c_.at;
    SLUICE_ASSIGN(auto e, parse_escape(c_, false));
    if (e.character) return literal(*e.character);
    if (flags_.ignore_case && c_.in[begin + 1] != 's' && c_.in[begin + 1] != 'S' && c_.in[begin + 1] != 'd' &&
        c_.in[begin + 1] != 'D') {
      c_.at = begin;
      return c_.refuse("a property under (?i)");
    }
    return make_set(std::move(e.set));
  }

  Result<NodePtr> literal(char32_t c) {
    if (!flags_.ignore_case) return make_literal(c);
    // Oniguruma folds some pairs of letters to one character (ss and the sharp s, ligatures).
    const auto lower = c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    const auto previous = std::exchange(folded_, lower);
    if ((previous == 's' && (lower == 's' || lower == 't')) ||
        (previous == 'f' && (lower == 'f' || lower == 'i' || lower == 'l')))
      return c_.refuse("letters under (?i) that fold to one character");
    if (lower < 0x80 && (lower < 'a' || lower > 'z')) return make_literal(c);
    static const auto caseless = *unicode_property("Lo") | *unicode_property("Han");
    if (lower >= 0x80 && caseless.contains(c)) return make_literal(c);
    auto set = lower < 0x80 ? both_cases(CodePointSet(c, c)) : std::nullopt;
    if (!set) return c_.refuse("a letter beyond ASCII under (?i)");
    return make_set(*std::move(set));
  }

  Result<NodePtr> group(int depth) {
    if (c_.peek(1) == '*') return c_.refuse("(*");
    if (c_.eat("(?#")) {
      const auto close = c_.in.find(')', c_.at);
      if (close == std::string_view::npos) return c_.broken("a comment without its ')'");
      c_.at = close + 1;
      return nullptr;
    }
    auto out = make(Node::Kind::concatenation);
    if (c_.eat("(?=") || c_.eat("(?!")) {
      out = make(Node::Kind::look);
      out->negative = c_.in[c_.at - 1] == '!';
    } else if (c_.eat("(?<=") || c_.eat("(?<!")) {
      out = make(Node::Kind::look);
      out->behind = true;
      out->negative = c_.in[c_.at - 1] == '!';
    } else if (c_.eat("(?>")) {
      out = make(Node::Kind::atomic);
    } else if (c_.eat("(?<")) {
      SLUICE_TRY(group_name());
      ++captures_;
    } else if (c_.peek(1) == '?' && c_.peek(2) != ':') {
      return with_flags(depth);
    } else if (!c_.eat("(?:")) {
      ++c_.at;
      ++captures_;
    }
    const auto captures = captures_;
    SLUICE_ASSIGN(auto inside, alternation(depth + 1));
    if (!c_.eat(")")) return c_.broken("a '(' without its ')'");
    if (out->behind && out->negative && captures_ != captures)
      return c_.refuse("a group that captures in a lookbehind");
    folded_ = '\0';
    if (out->kind == Node::Kind::concatenation) return inside;
    if (out->behind && looks_or_ends(*inside)) return c_.refuse("a lookaround or an end of the text in a lookbehind");
    out->children.push_back(std::move(inside));
    return out;
  }

  Result<> group_name() {
    const auto begin = c_.at;
    const auto word = [](char b) { return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || b == '_'; };
    while (word(c_.peek()) || (c_.at > begin && c_.peek() >= '0' && c_.peek() <= '9')) ++c_.at;
    if (c_.at == begin || !c_.eat(">")) return c_.refuse("this name of a group");
    return {};
  }

  /// (?i), which holds for the rest of the group around it, or (?i:...).
  Result<NodePtr> with_flags(int depth) {
    const auto outer = flags_;
    auto flags = flags_;
    bool on = true;
    for (c_.at += 2; c_.peek() != ':' && c_.peek() != ')'; ++c_.at) {
      if (c_.peek() == '-' && on)
        on = false;
      else if (c_.peek() == 'i')
        flags.ignore_case = on;
      else if (c_.peek() == 'm')
        flags.dot_all = on;
      else
        return c_.refuse("this kind of (? group");
    }
    const bool to_the_end = c_.peek() == ')';
    ++c_.at;
    flags_ = flags;
    SLUICE_ASSIGN(auto inside, alternation(depth + 1));
    flags_ = outer;
    folded_ = '\0';
    if (!to_the_end && !c_.eat(")")) return c_.broken("a '(' without its ')'");
    return inside;
  }

  Result<NodePtr> quantified(NodePtr term) {
    std::uint32_t min = 0;
    auto max = Node::kNoLimit;
    bool counted = false;
    if (c_.eat("+")) {
      min = 1;
    } else if (c_.eat("?")) {
      max = 1;
    } else if (c_.peek() == '{') {
      counted = true;
      SLUICE_TRY(counts(min, max));
    } else if (!c_.eat("*")) {
      return term;
    }
    folded_ = '\0';
    if (only_a_place(*term)) return c_.refuse("a repeat of a place");
    auto out = make(Node::Kind::repeat);
    out->min = min;
    out->max = max;
    // Oniguruma reads {n}? as (?:...{n})? and {n,m}+ as (?:...{n,m})+.
    if (counted && (c_.peek() == '+' || (c_.peek() == '?' && min == max)))
      return c_.refuse("a counted repeat that is repeated, or possessive,");
    if (c_.eat("?"))
      out->mode = Mode::lazy;
    else if (c_.eat("+"))
      out->mode = Mode::possessive;
    if (c_.peek() == '*' || c_.peek() == '+' || c_.peek() == '?' || c_.peek() == '{')
      return c_.refuse("a repeat of a repeat");
    out->children.push_back(std::move(term));
    return out;
  }

  Result<> counts(std::uint32_t& min, std::uint32_t& max) {
    ++c_.at;
    const auto number = [&]() -> std::optional<std::uint32_t> {
      std::optional<std::uint32_t> n;
      for (; c_.peek() >= '0' && c_.peek() <= '9' && n.value_or(0) < 100'000; ++c_.at)
        n = n.value_or(0) * 10 + static_cast<std::uint32_t>(c_.peek() - '0');
      return n;
    };
    const auto low = number();
    const bool comma = c_.eat(",");
    const auto high = comma ? number() : low;
    if (!c_.eat("}") || (!low && !high)) return c_.refuse("'{' that opens no repeat");
    min = low.value_or(0);
    max = high.value_or(Node::kNoLimit);
    if (max < min || min > 100'000 || (high && *high > 100'000)) return c_.refuse("a repeat with these counts");
    return {};
  }

  Cursor c_;
  Flags flags_;
  std::size_t captures_ = 0;
  char32_t folded_ = '\0';  // the letter just read under (?i)
};

}  // namespace

Result<NodePtr> parse(std::string_view pattern) { return Parser(pattern).run(); }

}  // namespace sluice::text::regex
