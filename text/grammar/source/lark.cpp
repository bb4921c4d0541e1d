#include <fmt/format.h>

#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/ebnf_parser.h"

namespace sluice::text::grammar {
namespace {

/// Lark's spelling of EBNF, read as what it says of texts: a rule's place in the tree (`?rule`, `-> alias`) does not
/// matter, and there is no lexer, so that what changes how one cuts the text into terminals is refused.
class LarkParser final : EbnfBodies {
 public:
  LarkParser(std::string_view text, const GrammarLimits& limits) : EbnfBodies(text, limits) {}

  Result<Grammar> run() {
    skip();
    while (!r_.done()) {
      if (r_.peek() == '%') return directive();
      if (r_.peek() == '?' || r_.peek() == '!') ++r_.at;
      const auto name = r_.name("");
      if (name.empty()) return r_.wrong("here should be a rule:  name: ...");
      if (r_.peek() == '{') return r_.refuse("a template of rules ('{')");
      if (r_.peek() == '.') return r_.refuse("the priority of a rule or terminal ('.')");
      skip();
      if (!r_.eat(":")) return r_.wrong("here should be a rule:  name: ...");
      SLUICE_ASSIGN(const auto body, choice(0));
      SLUICE_TRY(r_.define(name, body));
      skip();
    }
    return r_.finish("start");
  }

 private:
  void skip() override { r_.skip("//"); }

  std::unexpected<Error> directive() {
    ++r_.at;
    const auto name = r_.name("");
    return r_.refuse(fmt::format("%{} (write the rule itself, white space too)", name));
  }

  Result<> way_ended() override {
    if (!r_.eat("->")) return {};
    skip();
    if (r_.name("").empty()) return r_.wrong("'->' without a name");
    skip();
    return {};
  }

  Result<std::optional<NodeIndex>> item(std::size_t depth) override {
    switch (r_.peek()) {
      case '"':
        return text();
      case '/':
        return expression();
      case '(':
      case '[': {
        const bool optional = r_.peek() == '[';
        ++r_.at;
        SLUICE_ASSIGN(const auto inside, choice(depth + 1));
        if (!r_.eat(optional ? "]" : ")")) return r_.wrong("a group without its end");
        return optional ? r_.grammar.optional(inside) : inside;
      }
      case '|':
      case ')':
      case ']':
      case '%':
        return std::nullopt;
      case '?':
      case '!':
        return next_is_rule() ? Result<std::optional<NodeIndex>>(std::nullopt)
                              : r_.wrong(fmt::format("'{}' does not belong here", r_.peek()));
      default:
        break;
    }
    if (r_.done() || r_.in.substr(r_.at).starts_with("->") || next_is_rule()) return std::nullopt;
    const auto name = r_.name("");
    if (name.empty()) return r_.wrong(fmt::format("'{}' does not belong here", r_.peek()));
    if (r_.peek() == '{') return r_.refuse("a template of rules ('{')");
    return r_.grammar.rule(r_.rule(name));
  }

  /// A name and a colon begin the next rule, which ends this one.
  bool next_is_rule() {
    const auto begin = r_.at;
    if (r_.peek() == '?' || r_.peek() == '!') ++r_.at;
    const bool named = !r_.name("").empty();
    const bool priority = r_.peek() == '.' && r_.peek(1) != '.';
    skip();
    const bool rule = named && (priority || r_.peek() == ':');
    r_.at = begin;
    return rule;
  }

  /// "text", or "a".."z".
  Result<std::optional<NodeIndex>> text() {
    SLUICE_ASSIGN(const auto first, r_.quoted());
    if (r_.peek() == 'i') return r_.refuse("the flag i of a text");
    const auto after = r_.at;
    skip();
    if (!r_.eat("..")) {
      r_.at = after;
      return r_.grammar.literal(first);
    }
    skip();
    if (r_.peek() != '"') return r_.wrong("a range without its end");
    SLUICE_ASSIGN(const auto last, r_.quoted());
    const auto from = utf8_step(first), to = utf8_step(last);
    if (from.length != first.size() || to.length != last.size() || first.empty() || last.empty())
      return r_.wrong("a range is between two characters");
    if (to.code_point < from.code_point) return r_.wrong("a range whose end is before its begin");
    return r_.grammar.chars(CodePointSet(from.code_point, to.code_point));
  }

  Result<std::optional<NodeIndex>> expression() {
    const auto begin = ++r_.at;
    bool in_class = false;
    for (; !r_.done() && r_.peek() != '\n' && (r_.peek() != '/' || in_class); ++r_.at) {
      if (r_.peek() == '\\')
        ++r_.at;
      else if (r_.peek() == '[')
        in_class = true;
      else if (r_.peek() == ']')
        in_class = false;
    }
    if (r_.peek() != '/') return r_.wrong("a regular expression without its closing '/'");
    const auto pattern = r_.in.substr(begin, r_.at - begin);
    ++r_.at;
    const auto flags = r_.name("");
    if (!flags.empty()) return r_.refuse(fmt::format("the flag {} of a regular expression", flags));
    auto made = add_regex(r_.grammar, pattern, r_.limits());
    if (!made) return r_.wrong(made.error().message);
    return *made;
  }

  Result<NodeIndex> repeats(NodeIndex what) override {
    skip();
    if (r_.eat("*")) return r_.repeat(what, 0, std::nullopt);
    if (r_.eat("+")) return r_.repeat(what, 1, std::nullopt);
    if (r_.peek() == '?' && !next_is_rule()) {
      ++r_.at;
      return r_.repeat(what, 0, 1);
    }
    if (!r_.eat("~")) return what;
    skip();
    const auto least = r_.number();
    auto most = least;
    skip();
    if (r_.eat("..")) {
      skip();
      most = r_.number();
    }
    if (!least || !most) return r_.wrong("a repetition is ~ n or ~ n..m");
    return r_.repeat(what, least, most);
  }
};

}  // namespace

Result<Grammar> from_lark(std::string_view text, const GrammarLimits& limits) { return LarkParser(text, limits).run(); }

}  // namespace sluice::text::grammar
