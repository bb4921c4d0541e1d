// Strings: lengths, patterns and formats, one of them as an expression, several as the automaton of where they meet.
#include <algorithm>
#include <utility>

#include "common/utf8.h"
#include "text/grammar/source/ecma_class.h"
#include "text/grammar/source/ecma_parser.h"
#include "text/grammar/source/expression.h"
#include "text/grammar/source/formats.h"
#include "text/grammar/source/schema_compiler.h"

namespace sluice::text::grammar {

struct SchemaCompiler::TextConditions {
  struct Expression {
    const Json* place;
    std::string_view pattern;
    bool anywhere;  // a pattern matches any part, a format is the whole
  };
  const Json* place = nullptr;
  std::uint64_t least = 0, most = Node::kUnbounded;
  std::vector<Expression> expressions{};

  [[nodiscard]] bool any_length() const { return least == 0 && most == Node::kUnbounded; }
};

Result<SchemaCompiler::TextConditions> SchemaCompiler::conditions(const Schemas& own) {
  TextConditions out{.place = own.empty() ? tree_.root() : own.front()};
  for (const auto* s : own) {
    if (const auto* k = tree_.get(s, "minLength")) out.least = std::max<std::uint64_t>(out.least, count_of(*k));
    if (const auto* k = tree_.get(s, "maxLength")) out.most = std::min<std::uint64_t>(out.most, count_of(*k));
    if (const auto* k = tree_.get(s, "pattern")) out.expressions.push_back({s, k->get_ref<const std::string&>(), true});
    if (const auto* k = tree_.get(s, "format")) {
      const auto& name = k->get_ref<const std::string&>();
      SLUICE_TRY(values_.format(s, name));  // refused by name where it is not known
      const auto known = string_format(name);
      if (known && !known->pattern.empty()) out.expressions.push_back({s, known->pattern, false});
    }
    for (const std::string_view keyword : {"minLength", "maxLength"})
      if (tree_.get(s, keyword) != nullptr) out.place = s;
  }
  // The same one twice says nothing new.
  std::ranges::sort(out.expressions, {}, [](const auto& e) { return std::pair(e.pattern, e.anywhere); });
  const auto twice = std::ranges::unique(
      out.expressions, [](const auto& a, const auto& b) { return a.pattern == b.pattern && a.anywhere == b.anywhere; });
  out.expressions.erase(twice.begin(), twice.end());
  return out;
}

Result<NodeIndex> SchemaCompiler::string(const Schemas& own) {
  SLUICE_ASSIGN(const auto c, conditions(own));
  if (c.least > c.most) return never_at(c.place, "minLength is above maxLength");
  auto& spelling = text_.spelling();
  if (c.expressions.empty()) {
    if (c.any_length()) return text_.any_string();
    for (const auto n : {c.least, c.most})
      if (n > options_.limits.repeats && n != Node::kUnbounded)
        return tree_.refuse(c.place, Errc::invalid_argument, "a length of more than {} is not supported",
                            options_.limits.repeats);
    return text_.quoted(g_.repeat(spelling.one_of(scalar_values()), static_cast<std::uint32_t>(c.least),
                                  static_cast<std::uint32_t>(c.most)));
  }
  const auto wrapped = [&](const Json* place, auto&& result) -> Result<NodeIndex> {
    if (!result) return tree_.refuse(place, result.error().code, "the pattern: {}", result.error().message);
    return text_.quoted(*result);
  };
  if (c.expressions.size() == 1) {
    const auto& e = c.expressions.front();
    auto tree = parse_ecma(e.pattern, options_.limits);
    if (!tree)
      return tree_.refuse(e.place, tree.error().code, "the pattern \"{}\": {}", clip_utf8(e.pattern, 80),
                          tree.error().message);
    if (const auto r = repeated_set(**tree, e.anywhere); r && !c.any_length()) {
      const auto least = std::max<std::uint64_t>(r->least, c.least), most = std::min<std::uint64_t>(r->most, c.most);
      if (least > most) return never_at(e.place, "no text that matches the pattern is of such a length");
      if (least <= options_.limits.repeats && (most <= options_.limits.repeats || most == Node::kUnbounded))
        return text_.quoted(
            g_.repeat(spelling.one_of(*r->set), static_cast<std::uint32_t>(least), static_cast<std::uint32_t>(most)));
    }
    const auto own_lengths = lengths(**tree, e.anywhere);
    if (c.any_length() || (own_lengths && own_lengths->least >= c.least && own_lengths->most <= c.most))
      return wrapped(e.place, add_expression(**tree, e.anywhere, spelling, tree_.label(e.place)));
  }
  SLUICE_ASSIGN(const auto dfa, texts_of(c));
  if (dfa->empty()) return never_at(c.place, "no text satisfies pattern, format and length at once");
  return text_.quoted(add_dfa(*dfa, spelling, tree_.label(c.place)));
}

Result<std::optional<Dfa>> SchemaCompiler::texts_of(const TextConditions& c) {
  std::optional<Dfa> out;
  const auto meet = [&](const Json* place, const Dfa& with) -> Result<> {
    if (!out) {
      out = with;
      return {};
    }
    auto met = Dfa::both(*out, with);
    if (!met)
      return tree_.refuse(place, met.error().code, "the patterns, formats and lengths of one text together: {}",
                          met.error().message);
    out = std::move(*met);
    return {};
  };
  for (const auto& e : c.expressions) {
    if (e.anywhere) {
      SLUICE_ASSIGN(const auto* dfa, values_.pattern(e.place, e.pattern));
      SLUICE_TRY(meet(e.place, *dfa));
    } else {
      SLUICE_ASSIGN(const auto* dfa, values_.whole(e.place, e.pattern));
      SLUICE_TRY(meet(e.place, *dfa));
    }
  }
  if (!c.any_length()) {
    const auto length = Dfa::length(c.least, c.most);
    if (!length) return tree_.refuse(c.place, length.error().code, "{}", length.error().message);
    SLUICE_TRY(meet(c.place, *length));
  }
  return out;
}

Result<std::optional<Dfa>> SchemaCompiler::texts(const Schemas& all) {
  SLUICE_ASSIGN(const auto picked, alternatives({}, all));
  std::optional<Dfa> none;  // what no alternative so far accepts
  for (const auto& own : picked) {
    std::uint8_t kinds = kAnyKind;
    const Json* listing = nullptr;
    for (const auto* s : own) {
      if (const auto* type = tree_.get(s, "type")) kinds &= kinds_of_type(*type);
      if (tree_.get(s, "const") != nullptr || tree_.get(s, "enum") != nullptr) listing = s;
    }
    if ((kinds & kString) == 0) continue;
    std::optional<Dfa> here;
    if (listing != nullptr) {
      std::vector<std::string> names;
      const auto* only = tree_.get(listing, "const");
      for (const auto& v : only != nullptr ? Json::array({*only}) : *tree_.get(listing, "enum")) {
        bool holds = v.is_string();
        for (const auto* s : own) {
          if (!holds) break;
          SLUICE_ASSIGN(holds, values_.accepts_itself(s, v));
        }
        if (holds) names.push_back(v.get<std::string>());
      }
      SLUICE_ASSIGN(here, Dfa::texts(names));
    } else {
      SLUICE_ASSIGN(const auto c, conditions(own));
      SLUICE_ASSIGN(here, texts_of(c));
    }
    if (!here) return std::nullopt;
    if (!none) {
      none = here->complement();
    } else {
      SLUICE_ASSIGN(none, Dfa::both(*none, here->complement()));
    }
  }
  return none ? none->complement() : Dfa({});
}

}  // namespace sluice::text::grammar
