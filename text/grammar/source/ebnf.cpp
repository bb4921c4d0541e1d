// EBNF as GBNF spells it (llama.cpp, xgrammar), and the choice between that and Lark's.
#include <fmt/format.h>

#include <utility>
#include <vector>

#include "common/utf8.h"
#include "text/grammar/source/ebnf_parser.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {
namespace {

constexpr std::string_view kNameAlso = "-.";

class GbnfParser final : EbnfBodies {
 public:
  GbnfParser(std::string_view text, const GrammarLimits& limits) : EbnfBodies(text, limits) {}

  Result<Grammar> run() {
    skip();
    while (!r_.done()) {
      const auto name = r_.name(kNameAlso);
      skip();
      if (name.empty() || !r_.eat("::=")) return r_.wrong("here should be a rule:  name ::= ...");
      SLUICE_ASSIGN(const auto body, choice(0));
      SLUICE_TRY(r_.define(name, body));
      skip();
    }
    return r_.finish("root");
  }

 private:
  void skip() override { r_.skip("#"); }

  Result<std::optional<NodeIndex>> item(std::size_t depth) override {
    auto& g = r_.grammar;
    switch (r_.peek()) {
      case '"': {
        SLUICE_ASSIGN(const auto text, r_.quoted());
        return g.literal(text);
      }
      case '[': {
        SLUICE_ASSIGN(auto set, characters());
        return g.chars(std::move(set));
      }
      case '.':
        ++r_.at;
        return g.chars(scalar_values());
      case '(': {
        ++r_.at;
        if (r_.peek() == '=' || r_.peek() == '!') return r_.refuse("a look-ahead (=");
        SLUICE_ASSIGN(const auto inside, choice(depth + 1));
        if (!r_.eat(")")) return r_.wrong("a '(' without its ')'");
        return inside;
      }
      case '|':
      case ')':
        return std::nullopt;
      default:
        break;
    }
    if (r_.done()) return std::nullopt;
    const auto begin = r_.at;
    const auto name = r_.name(kNameAlso);
    if (name.empty())
      return r_.wrong(
          fmt::format("'{}' does not belong here", r_.in.substr(r_.at, utf8_step(r_.in.substr(r_.at)).length)));
    const auto end = r_.at;
    skip();
    if (r_.in.substr(r_.at).starts_with("::=")) {  // the next rule
      r_.at = begin;
      return std::nullopt;
    }
    if (r_.peek() == '(' && end == r_.at) return r_.refuse(fmt::format("the macro {}(", name));
    return g.rule(r_.rule(name));
  }

  Result<NodeIndex> repeats(NodeIndex what) override {
    for (std::size_t n = 0; n < r_.limits().depth; ++n) {
      skip();
      std::optional<std::uint32_t> least = 0, most;
      if (r_.eat("?")) {
        most = 1;
      } else if (r_.eat("+")) {
        least = 1;
      } else if (r_.eat("{")) {
        skip();
        least = r_.number();
        skip();
        most = least;
        if (r_.eat(",")) {
          skip();
          most = r_.number();
          skip();
          if (!least && !most) return r_.wrong("a repetition without a count");
        }
        if (!r_.eat("}") || (!least && !most)) return r_.wrong("a repetition is {n}, {n,} or {n,m}");
      } else if (!r_.eat("*")) {
        return what;
      }
      SLUICE_ASSIGN(what, r_.repeat(what, least, most));
    }
    return r_.wrong("too many repetitions of a repetition");
  }

  Result<CodePointSet> characters() {
    ++r_.at;
    const bool negative = r_.eat("^");
    std::vector<CodePointRange> ranges;
    while (r_.peek() != ']') {
      if (r_.done()) return r_.wrong("a '[' without its ']'");
      SLUICE_ASSIGN(const auto low, r_.character());
      auto high = low;
      if (r_.peek() == '-' && r_.peek(1) != ']') {
        ++r_.at;
        if (r_.done()) return r_.wrong("a '[' without its ']'");
        SLUICE_ASSIGN(high, r_.character());
      }
      if (high < low) return r_.wrong("a range whose end is before its begin");
      ranges.push_back({low, high});
    }
    ++r_.at;
    const CodePointSet set(ranges);
    return (negative ? set.complement() : set) & scalar_values();
  }
};

/// A rule of Lark's spelling begins a line (`name:`), and none of GBNF's does anywhere.
bool looks_like_lark(std::string_view text) {
  EbnfReader r(text, GrammarLimits{});
  if (text.find("::=") != std::string_view::npos) return false;
  r.skip("//");
  if (r.peek() == '%') return true;
  if (r.peek() == '?' || r.peek() == '!') ++r.at;
  const auto name = r.name(".");
  r.skip("//");
  return !name.empty() && r.peek() == ':';
}

}  // namespace

Result<Grammar> from_ebnf(std::string_view text, const GrammarLimits& limits) {
  // Each byte of a literal may come as an escape of several.
  if (text.size() > 8 * limits.bytes)
    return fail(Errc::invalid_argument, "a grammar of {} bytes, more than the {} allowed", text.size(),
                8 * limits.bytes);
  if (utf8_valid_prefix(text) != text.size()) return fail(Errc::invalid_argument, "the grammar is not UTF-8");
  if (looks_like_lark(text)) return from_lark(text, limits);
  return GbnfParser(text, limits).run();
}

}  // namespace sluice::text::grammar
