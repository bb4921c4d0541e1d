#include "text/regex/regex.h"

#include "common/utf8.h"
#include "text/regex/compiler.h"
#include "text/regex/matcher.h"
#include "text/regex/parser.h"

namespace sluice::text {
namespace {

constexpr std::size_t kMaxPatternBytes = 1U << 16U;

}  // namespace

struct Regex::Code {
  regex::Program program;
};

Result<Regex> Regex::from_tree(const regex::Node& tree, std::string_view shown) {
  auto program = regex::compile(tree);
  if (!program) return fail(program.error().code, "regular expression \"{}\": {}", shown, program.error().message);
  Regex r;
  r.code_ = std::make_shared<const Code>(*std::move(program));
  return r;
}

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return fail(Errc::resource_exhausted, "regular expression of {} bytes; the limit is {}", pattern.size(),
                kMaxPatternBytes);
  if (utf8_valid_prefix(pattern) != pattern.size())
    return fail(Errc::invalid_argument, "regular expression that is not UTF-8");
  auto tree = regex::parse(pattern);
  if (!tree) return fail(tree.error().code, "regular expression \"{}\": {}", pattern, tree.error().message);
  return from_tree(**tree, pattern);
}

Result<Regex> Regex::literal(std::string_view text) {
  regex::Node tree(regex::Node::Kind::literal);
  tree.literal = text;
  return from_tree(tree, text);
}

Result<Regex> Regex::one_of(const CodePointSet& set) {
  regex::Node tree(regex::Node::Kind::set);
  tree.set = set;
  return from_tree(tree, "a set of characters");
}

Result<> Regex::find_all(std::string_view s, std::vector<ByteRange>& out, MatchBudget& budget) const {
  regex::Matcher matcher(code_->program, s, budget);
  const auto already = out.size();
  for (std::size_t at = 0; at <= s.size();) {
    const auto m = matcher.find(at);
    if (matcher.exhausted())
      return fail(Errc::invalid_argument,
                  "the text is too long or too uniform to be split into words: it takes more steps than the limit");
    if (!m) break;
    // An empty match right after a match is not one; the search goes on one character later (as the reference does).
    const bool empty = m->begin == m->end;
    if (!empty || out.size() == already || out.back().end != m->end) {
      out.push_back(*m);
      at = m->end;
    } else {
      at += at < s.size() ? utf8_step(s.substr(at)).length : 1;
    }
  }
  return {};
}

}  // namespace sluice::text
