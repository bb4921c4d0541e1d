#include "text/grammar/source/ebnf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/utf8.h"
#include "text/grammar/source/ecma_class.h"

namespace sluice::text::grammar {

bool EbnfReader::eat(std::string_view s) {
  if (!in.substr(at).starts_with(s)) return false;
  at += s.size();
  return true;
}

void EbnfReader::skip(std::string_view comment, std::string_view other_comment) {
  while (!done()) {
    const auto rest = in.substr(at);
    if (rest.starts_with(comment) || rest.starts_with(other_comment))
      at = std::min(in.find('\n', at), in.size());
    else if (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r')
      ++at;
    else
      return;
  }
}

std::string_view EbnfReader::name(std::string_view also) {
  const auto begin = at;
  const auto word = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c != '\0' && also.find(c) != std::string_view::npos);
  };
  while (!done() && word(peek())) ++at;
  return in.substr(begin, at - begin);
}

std::optional<std::uint32_t> EbnfReader::number() {
  std::optional<std::uint32_t> n;
  for (; peek() >= '0' && peek() <= '9'; ++at)
    n = std::min<std::uint32_t>(n.value_or(0) * 10 + static_cast<std::uint32_t>(peek() - '0'), 100'000'000);
  return n;
}

Result<char32_t> EbnfReader::character() {
  if (peek() != '\\') {
    const auto step = utf8_step(in.substr(at));
    at += step.length;
    return step.code_point;
  }
  const char kind = peek(1);
  at += 2;
  switch (kind) {
    case 'n':
      return U'\n';
    case 't':
      return U'\t';
    case 'r':
      return U'\r';
    case 'f':
      return U'\f';
    case 'v':
      return U'\v';
    case 'b':
      return U'\b';
    case '0':
      return U'\0';
    case 'x':
    case 'u':
    case 'U': {
      const std::size_t length = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
      char32_t value = 0;
      for (std::size_t i = 0; i < length; ++i, ++at) {
        const char d = peek();
        const int v = d >= '0' && d <= '9'   ? d - '0'
                      : d >= 'a' && d <= 'f' ? d - 'a' + 10
                      : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                             : -1;
        if (v < 0) return wrong(fmt::format("\\{} without its {} hexadecimal digits", kind, length));
        value = value * 16 + static_cast<char32_t>(v);
      }
      if (!scalar_values().contains(value)) return wrong("an escape that stands for no character");
      return value;
    }
    default:
      if (kind == '\0' || (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') || (kind >= '1' && kind <= '9'))
        return wrong(fmt::format("the escape \\{} is not known", kind == '\0' ? ' ' : kind));
      --at;
      const auto step = utf8_step(in.substr(at));
      at += step.length;
      return step.code_point;
  }
}

Result<std::string> EbnfReader::quoted() {
  ++at;
  std::string out;
  while (peek() != '"') {
    if (done() || peek() == '\n') return wrong("a text without its closing quote");
    SLUICE_ASSIGN(const auto c, character());
    append_utf8(out, c);
  }
  ++at;
  return out;
}

Result<NodeIndex> EbnfReader::repeat(NodeIndex what, std::optional<std::uint32_t> least,
                                     std::optional<std::uint32_t> most) {
  const auto low = least.value_or(0);
  const auto high = most.value_or(Node::kUnbounded);
  if (high < low) return wrong("a repetition whose least count is above its most");
  if (low > limits_.repeats || (most && high > limits_.repeats))
    return wrong(fmt::format("a repetition that counts beyond {}", limits_.repeats));
  return grammar.repeat(what, low, high);
}

RuleIndex EbnfReader::rule(std::string_view name) {
  const auto known = rules_.find(std::string(name));
  if (known != rules_.end()) return known->second;
  const auto fresh = grammar.declare(std::string(name));
  rules_.emplace(name, fresh);
  return fresh;
}

Result<> EbnfReader::define(std::string_view name, NodeIndex body) {
  const auto r = rule(name);
  if (grammar.rule_body(r)) return wrong(fmt::format("the rule '{}' is defined twice", name));
  grammar.define(r, body);
  return {};
}

Result<Grammar> EbnfReader::finish(std::string_view start) {
  const auto r = rules_.find(std::string(start));
  if (r == rules_.end() || !grammar.rule_body(r->second))
    return fail(Errc::invalid_argument, "the grammar has no rule named '{}', which is where it starts", start);
  grammar.set_root(grammar.rule(r->second));
  grammar.prune();
  SLUICE_TRY(grammar.check(limits_));
  return std::move(grammar);
}

Result<> EbnfReader::room() const {
  if (grammar.nodes().size() <= limits_.nodes) return {};
  return fail(Errc::invalid_argument, "the grammar has more than the {} parts allowed", limits_.nodes);
}

std::size_t EbnfReader::line() const {
  return 1 + static_cast<std::size_t>(std::ranges::count(in.substr(0, std::min(at, in.size())), '\n'));
}

std::unexpected<Error> EbnfReader::wrong(std::string_view what) const {
  return fail(Errc::invalid_argument, "the grammar, line {}: {}", line(), what);
}

std::unexpected<Error> EbnfReader::refuse(std::string_view what) const {
  return fail(Errc::unsupported, "the grammar, line {}: {} is not supported", line(), what);
}

Result<NodeIndex> EbnfBodies::choice(std::size_t depth) {
  if (depth > r_.limits().depth) return r_.wrong(fmt::format("groups nested deeper than {}", r_.limits().depth));
  std::vector<NodeIndex> ways;
  do {
    SLUICE_ASSIGN(const auto way, sequence(depth));
    ways.push_back(way);
    skip();
    SLUICE_TRY(way_ended());
  } while (r_.eat("|"));
  return r_.grammar.choice(std::move(ways));
}

Result<NodeIndex> EbnfBodies::sequence(std::size_t depth) {
  std::vector<NodeIndex> parts;
  while (true) {
    skip();
    SLUICE_ASSIGN(const auto part, item(depth));
    if (!part) break;
    SLUICE_ASSIGN(const auto repeated, repeats(*part));
    parts.push_back(repeated);
    SLUICE_TRY(r_.room());
  }
  if (parts.empty()) return r_.grammar.literal("");
  return r_.grammar.sequence(std::move(parts));
}

}  // namespace sluice::text::grammar
