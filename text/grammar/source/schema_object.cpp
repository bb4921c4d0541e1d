// Objects: the listed properties in their order, each there or not, then others whose names are none of those.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "text/grammar/source/schema_compiler.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMaxPatterns = 5;  // each may match a name or not: so many bits

}  // namespace

struct SchemaCompiler::Property {
  std::string name;
  Schemas schemas;
  bool required = false;
};

/// The members of an object as parts of the grammar.
struct SchemaCompiler::Members {
  struct Listed {
    NodeIndex text;
    bool required;
  };
  std::vector<Listed> listed{};
  std::optional<NodeIndex> other{};  // one more, with a name that is not listed
  std::size_t least = 0, most = kUnlimited;
};

Result<NodeIndex> SchemaCompiler::object(const Schemas& own) {
  Members m;
  const Json* place = own.empty() ? tree_.root() : own.front();
  bool said = false;
  for (const auto* s : own) {
    if (const auto* k = tree_.get(s, "minProperties")) m.least = std::max(m.least, count_of(*k));
    if (const auto* k = tree_.get(s, "maxProperties")) m.most = std::min(m.most, count_of(*k));
    for (const std::string_view keyword : {"properties", "patternProperties", "additionalProperties", "propertyNames",
                                           "required", "minProperties", "maxProperties"})
      said = said || tree_.get(s, keyword) != nullptr;
    for (const std::string_view keyword : {"minProperties", "maxProperties"})
      if (tree_.get(s, keyword) != nullptr) place = s;
  }
  if (!said) return text_.any_object();
  SLUICE_ASSIGN(const auto listed, properties(own));
  for (const auto& p : listed) {
    const bool never_there = std::ranges::any_of(p.schemas, [](const Json* s) { return *s == false; });
    if (never_there && !p.required) continue;
    if (never_there) return never_at(place, "the required property '{}' is not allowed", p.name);
    const auto name = g_.literal('"' + json_escaped(p.name) + '"');
    m.listed.push_back({text_.member(name, value(p.schemas)), p.required});
    SLUICE_TRY(room());
  }
  SLUICE_ASSIGN(m.other, other_members(own, listed));
  return members(place, std::move(m));
}

Result<std::vector<SchemaCompiler::Property>> SchemaCompiler::properties(const Schemas& own) {
  std::unordered_set<std::string_view> required, seen;
  std::vector<std::string_view> names;
  const auto add = [&](std::string_view name) {
    if (seen.insert(name).second) names.push_back(name);
  };
  for (const auto* s : own) {
    if (const auto* listed = tree_.get(s, "properties"))
      for (const auto& [name, schema] : listed->get_ref<const Json::object_t&>()) add(name);
    if (const auto* k = tree_.get(s, "required"))
      for (const auto& name : *k) required.insert(name.get_ref<const std::string&>());
  }
  for (const auto* s : own)
    if (const auto* k = tree_.get(s, "required"))
      for (const auto& name : *k) add(name.get_ref<const std::string&>());
  std::vector<Property> out;
  for (const auto name : names) {
    Property p{.name = std::string(name), .schemas = {}, .required = required.contains(name)};
    for (const auto* s : own) {
      const auto before = p.schemas.size();
      if (const auto* listed = tree_.get(s, "properties"))
        if (const auto* schema = tree_.named(listed, name)) p.schemas.push_back(schema);
      if (const auto* patterns = tree_.get(s, "patternProperties")) {
        for (const auto& [pattern, schema] : patterns->items()) {
          SLUICE_ASSIGN(const auto* dfa, values_.pattern(s, pattern));
          if (dfa->matches(name)) p.schemas.push_back(tree_.named(patterns, pattern));
        }
      }
      const auto* others = tree_.get(s, "additionalProperties");
      if (p.schemas.size() == before && others != nullptr) p.schemas.push_back(others);
      if (const auto* allowed = tree_.get(s, "propertyNames")) {
        SLUICE_ASSIGN(const bool holds, values_.accepts(allowed, Json(p.name)));
        if (!holds) p.schemas.push_back(&never_);
      }
    }
    out.push_back(std::move(p));
  }
  return out;
}

Result<std::optional<NodeIndex>> SchemaCompiler::other_members(const Schemas& own,
                                                               const std::vector<Property>& listed) {
  struct Pattern {
    const Json* of;
    const Json* schema;
    const Dfa* names;
  };
  std::vector<Pattern> patterns;
  Schemas names;
  bool lists = false, speaks = false;
  for (const auto* s : own) {
    lists = lists || tree_.get(s, "properties") != nullptr;
    speaks = speaks || tree_.get(s, "additionalProperties") != nullptr || tree_.get(s, "patternProperties") != nullptr;
    if (const auto* k = tree_.get(s, "propertyNames")) names.push_back(k);
    const auto* all = tree_.get(s, "patternProperties");
    if (all == nullptr) continue;
    for (const auto& [pattern, schema] : all->items()) {
      SLUICE_ASSIGN(const auto* dfa, values_.pattern(s, pattern));
      patterns.push_back({s, tree_.named(all, pattern), dfa});
    }
    if (patterns.size() > kMaxPatterns)
      return tree_.refuse(s, Errc::unsupported, "more than {} patternProperties of one object are not supported",
                          kMaxPatterns);
  }
  if (options_.closed && lists && !speaks) return std::nullopt;
  std::optional<Dfa> allowed;  // names, made when they are needed
  std::vector<NodeIndex> ways;
  for (std::size_t matched = 0; matched < (std::size_t{1} << patterns.size()); ++matched) {
    Schemas schemas;
    for (const auto* s : own) {
      bool spoken = false;
      for (std::size_t p = 0; p < patterns.size(); ++p) {
        if (patterns[p].of != s || (matched >> p & 1U) == 0) continue;
        schemas.push_back(patterns[p].schema);
        spoken = true;
      }
      if (const auto* k = tree_.get(s, "additionalProperties"); k != nullptr && !spoken) schemas.push_back(k);
    }
    if (std::ranges::any_of(schemas, [](const Json* s) { return *s == false; })) continue;
    const auto* place = own.front();
    const auto too_large = [&](const Error& e) {
      return tree_.refuse(place, e.code, "the names of properties that are not listed: {}", e.message);
    };
    if (!allowed) {
      std::vector<std::string> taken;
      for (const auto& p : listed) taken.push_back(p.name);
      auto texts_taken = Dfa::texts(taken);
      if (!texts_taken) return too_large(texts_taken.error());
      allowed = texts_taken->complement();
      if (!names.empty()) {
        SLUICE_ASSIGN(const auto matching, texts(names));
        if (matching) {
          auto both = Dfa::both(*allowed, *matching);
          if (!both) return too_large(both.error());
          allowed = std::move(*both);
        }
      }
    }
    auto here = *allowed;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      auto both = Dfa::both(here, (matched >> p & 1U) != 0 ? *patterns[p].names : patterns[p].names->complement());
      if (!both) return too_large(both.error());
      here = std::move(*both);
    }
    if (here.empty()) continue;
    const bool any = patterns.empty() && listed.empty() && names.empty();
    const auto name = any ? text_.any_string() : text_.quoted(add_dfa(here, text_.spelling(), "name"));
    ways.push_back(text_.member(name, value(std::move(schemas))));
  }
  if (ways.empty()) return std::nullopt;
  return g_.choice(std::move(ways));
}

Result<NodeIndex> SchemaCompiler::members(const Json* place, Members m) {
  const auto count = m.listed.size();
  const auto required = static_cast<std::size_t>(std::ranges::count_if(m.listed, &Members::Listed::required));
  const bool unbounded = m.most == kUnlimited || (!m.other && m.most >= count);
  if (m.least <= required) m.least = 0;
  if (required > m.most) return never_at(place, "more properties are required than maxProperties allows");
  if (!m.other && m.least > count) return never_at(place, "minProperties is above the number of properties");
  // Names that are not listed may repeat, so they are sure to be one only.
  if (exact_one_ && m.other && m.least > count + 1)
    return tree_.refuse(place, Errc::unsupported,
                        "minProperties of {} with {} listed properties is not supported (names that are not listed may "
                        "repeat); list them, or ask for at most {}",
                        m.least, count, count + 1);
  // Counted as far as it matters: nothing, or something, written so far.
  const auto cap = std::max<std::size_t>({1, m.least, unbounded ? 0 : m.most});
  if (cap > 1 && (count + 1) * cap > options_.limits.nodes)
    return tree_.refuse(place, Errc::invalid_argument, "minProperties or maxProperties of so many properties");
  const auto most = unbounded ? kUnlimited : m.most;
  const auto after_last = [&](std::size_t written) -> NodeIndex {
    const auto low = m.least - std::min(m.least, written);
    if (!m.other) return low > 0 ? g_.choice({}) : g_.literal("");
    if (exact_one_ && low > 1) return g_.choice({});
    const auto high = most == kUnlimited ? kUnlimited : most - std::min(most, written);
    if (high == 0) return g_.literal("");
    const auto next = g_.sequence({text_.comma(), *m.other});
    const auto times = [](std::size_t n) {
      return static_cast<std::uint32_t>(std::min<std::size_t>(n, Node::kUnbounded));
    };
    if (written > 0) return g_.repeat(next, times(low), times(high));
    const auto some = g_.sequence({*m.other, g_.repeat(next, times(low - std::min<std::size_t>(low, 1)),
                                                       times(high == kUnlimited ? high : high - 1))});
    return low > 0 ? some : g_.optional(some);
  };
  // From the last to the first, tails[written]: what follows once so many are written. Nothing is written only up to
  // the first that is required.
  const auto first_required =
      static_cast<std::size_t>(std::ranges::find_if(m.listed, &Members::Listed::required) - m.listed.begin());
  std::vector<NodeIndex> tails;
  for (std::size_t written = 0; written <= cap; ++written) tails.push_back(after_last(written));
  const auto joined = [&](std::vector<NodeIndex> parts, NodeIndex then) {
    const auto& n = g_.node(then);
    if (n.op != Op::literal || !n.bytes.empty()) parts.push_back(then);
    return g_.sequence(std::move(parts));
  };
  for (auto i = count; i-- > 0;) {
    const auto& property = m.listed[i];
    std::vector<NodeIndex> before(tails.size(), tails[0]);
    for (std::size_t written = i > first_required ? 1 : 0; written <= (i == 0 ? 0 : cap); ++written) {
      std::vector<NodeIndex> with;
      if (written > 0) with.push_back(text_.comma());
      with.push_back(property.text);
      const auto then = tails[std::min(written + 1, cap)];
      if (written > 0 && cap == 1 && unbounded) {  // one and more are the same
        const auto here = g_.sequence(std::move(with));
        before[written] = joined({property.required ? here : g_.optional(here)}, then);
      } else {
        std::vector<NodeIndex> ways;
        if (most == kUnlimited || written < most) ways.push_back(joined(std::move(with), then));
        if (!property.required) ways.push_back(tails[written]);
        before[written] = g_.choice(std::move(ways));
      }
      // A rule where several ways lead to it, and now and then, so that nothing nests without bound.
      if (i > 0 && (i <= first_required || cap > 1 || i % 16 == 0)) before[written] = as_rule(before[written]);
    }
    tails = std::move(before);
    SLUICE_TRY(room());
  }
  return text_.braces(tails[0]);
}

NodeIndex SchemaCompiler::as_rule(NodeIndex node) {
  const auto& n = g_.node(node);
  if (n.op == Op::rule || n.op == Op::literal) return node;
  const auto rule = g_.declare("members");
  g_.define(rule, node);
  return g_.rule(rule);
}

}  // namespace sluice::text::grammar
