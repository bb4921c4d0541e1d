#include "text/grammar/source/schema_compiler.h"

#include <algorithm>
#include <utility>

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMaxAlternatives = 512;   // of one value
constexpr std::size_t kMaxSteps = 200'000;      // of taking schemas apart, in all
constexpr std::size_t kMaxValueRules = 20'000;  // lists of schemas compiled

}  // namespace

SchemaCompiler::SchemaCompiler(Grammar& grammar, SchemaTree& tree, SchemaValues& values, const SchemaOptions& options,
                               bool exact_one)
    : g_(grammar),
      tree_(tree),
      values_(values),
      options_(options),
      exact_one_(exact_one),
      text_(grammar, options.any_whitespace) {}

Result<NodeIndex> SchemaCompiler::run(const Schemas& all) {
  const auto root = value(all);
  SLUICE_TRY(finish());
  return root;
}

Result<NodeIndex> SchemaCompiler::run(Schemas own, const Schemas& all) {
  SLUICE_ASSIGN(const auto root, body(own, all));
  SLUICE_TRY(finish());
  return root;
}

Result<> SchemaCompiler::finish() {
  while (!open_.empty()) {
    const auto [all, rule] = std::move(open_.back());
    open_.pop_back();
    SLUICE_ASSIGN(const auto made, body({}, all));
    g_.define(rule, made);
    SLUICE_TRY(room());
  }
  return {};
}

Result<> SchemaCompiler::room() const {
  if (g_.nodes().size() <= options_.limits.nodes && g_.literal_bytes() <= options_.limits.bytes &&
      rules_.size() <= kMaxValueRules)
    return {};
  return fail(Errc::invalid_argument, "the schema is too large: its grammar has more than the {} parts allowed",
              options_.limits.nodes);
}

NodeIndex SchemaCompiler::never(std::string why) {
  if (contradiction_.empty()) contradiction_ = std::move(why);
  return g_.choice({});
}

NodeIndex SchemaCompiler::value(Schemas all) {
  Schemas parts;
  for (const auto* s : all) {
    const bool anything = *s == true || (s->is_object() && s->empty());
    if (!anything && std::ranges::find(parts, s) == parts.end()) parts.push_back(s);
  }
  if (parts.empty()) return text_.any_value();
  const auto [it, fresh] = rules_.try_emplace(parts, 0);
  if (fresh) {
    it->second = g_.declare(tree_.label(parts.front()));
    open_.emplace_back(std::move(parts), it->second);
  }
  return g_.rule(it->second);
}

Result<NodeIndex> SchemaCompiler::body(const Schemas& own, const Schemas& all) {
  SLUICE_ASSIGN(const auto picked, alternatives(own, all));
  std::vector<NodeIndex> ways;
  for (const auto& p : picked) {
    SLUICE_ASSIGN(const auto way, alternative(p));
    ways.push_back(way);
    SLUICE_TRY(room());
  }
  return g_.choice(std::move(ways));
}

Result<std::vector<Schemas>> SchemaCompiler::alternatives(const Schemas& own, const Schemas& all) {
  trail_.assign(1, Trail{nullptr, 0});
  std::vector<Todo> todo;
  for (const auto* s : all) todo.push_back({s, 0});
  std::ranges::reverse(todo);  // the last is next
  std::vector<Schemas> out;
  SLUICE_TRY(expand(std::move(todo), own, out));
  return out;
}

bool SchemaCompiler::came_from(const Todo& t) const {
  for (auto at = t.from; at != 0; at = trail_[at].from)
    if (trail_[at].schema == t.schema) return true;
  return false;
}

Result<> SchemaCompiler::expand(std::vector<Todo> todo, Schemas own, std::vector<Schemas>& out) {
  while (!todo.empty()) {
    const auto next = todo.back();
    todo.pop_back();
    if (++steps_ > kMaxSteps || trail_.size() > kMaxSteps)
      return tree_.refuse(next.schema, Errc::invalid_argument,
                          "the schema is too large: allOf, anyOf and $ref combine in too many ways");
    SLUICE_TRY(tree_.check(next.schema));
    if (came_from(next))
      return tree_.refuse(next.schema, Errc::invalid_argument,
                          "this schema comes back to itself by $ref, allOf or anyOf alone, so no value is described");
    if (next.schema->is_boolean()) {
      if (next.schema->get<bool>()) continue;
      static_cast<void>(never_at(next.schema, "the schema false allows nothing"));
      return {};
    }
    if (std::ranges::find(own, next.schema) != own.end()) continue;
    own.push_back(next.schema);
    trail_.push_back({next.schema, next.from});
    const auto here = static_cast<std::uint32_t>(trail_.size() - 1);
    if (const auto* all = tree_.get(next.schema, "allOf"))
      for (auto i = all->size(); i-- > 0;) todo.push_back({tree_.item(all, i), here});
    if (tree_.get(next.schema, "$ref") != nullptr) {
      SLUICE_ASSIGN(const auto* target, tree_.resolve(next.schema));
      todo.push_back({target, here});
    }
    // Groups that are picked from: each branch goes on by itself.
    std::vector<std::vector<Schemas>> groups;
    if (const auto* any = tree_.get(next.schema, "anyOf")) {
      groups.emplace_back();
      for (std::size_t i = 0; i < any->size(); ++i) groups.back().push_back({tree_.item(any, i)});
    }
    if (tree_.get(next.schema, "oneOf") != nullptr) {
      SLUICE_ASSIGN(auto branches, branches_of_one(next.schema, own));
      groups.push_back(std::move(branches));
    }
    if (groups.empty()) continue;
    std::vector<Schemas> picks{{}};
    for (const auto& group : groups) {
      std::vector<Schemas> wider;
      for (const auto& p : picks) {
        for (const auto& branch : group) {
          wider.push_back(p);
          wider.back().insert(wider.back().end(), branch.begin(), branch.end());
        }
        if (wider.size() > kMaxAlternatives) break;
      }
      picks = std::move(wider);
    }
    if (picks.size() > kMaxAlternatives)
      return tree_.refuse(next.schema, Errc::invalid_argument,
                          "the schema is too large: it allows more than {} alternatives for one value",
                          kMaxAlternatives);
    for (const auto& p : picks) {
      auto rest = todo;
      for (auto s = p.rbegin(); s != p.rend(); ++s) rest.push_back({*s, here});
      SLUICE_TRY(expand(std::move(rest), own, out));
    }
    return {};
  }
  if (out.size() >= kMaxAlternatives)
    return fail(Errc::invalid_argument,
                "{}: the schema is too large: it allows more than {} alternatives for one value",
                own.empty() ? "the root" : tree_.pointer(own.front()), kMaxAlternatives);
  out.push_back(std::move(own));
  return {};
}

std::uint8_t SchemaCompiler::implied_kinds(const Schemas& own) {
  // A schema that says nothing of types but speaks of one kind of value means that kind.
  static const std::pair<std::string_view, std::uint8_t> kSpeaksOf[] = {
      {"properties", kObject},       {"patternProperties", kObject}, {"additionalProperties", kObject},
      {"propertyNames", kObject},    {"required", kObject},          {"minProperties", kObject},
      {"maxProperties", kObject},    {"prefixItems", kArray},        {"items", kArray},
      {"minItems", kArray},          {"maxItems", kArray},           {"uniqueItems", kArray},
      {"pattern", kString},          {"minLength", kString},         {"maxLength", kString},
      {"minimum", kNumber},          {"maximum", kNumber},           {"exclusiveMinimum", kNumber},
      {"exclusiveMaximum", kNumber}, {"multipleOf", kNumber}};
  std::uint8_t out = 0;
  for (const auto* s : own) {
    if (tree_.get(s, "type") != nullptr) return kAnyKind;
    for (const auto& [keyword, kinds] : kSpeaksOf)
      if (tree_.get(s, keyword) != nullptr) out |= kinds;
    if (const auto* f = tree_.get(s, "format")) {
      const bool numeric = *f == "int32" || *f == "int64" || *f == "float" || *f == "double";
      out |= numeric ? kNumber : kString;
    }
  }
  return out == 0 ? kAnyKind : out;
}

Result<NodeIndex> SchemaCompiler::alternative(const Schemas& own) {
  const Json* listing = nullptr;
  std::uint8_t kinds = implied_kinds(own);
  const Json* typed = nullptr;
  for (const auto* s : own) {
    if (listing == nullptr && (tree_.get(s, "const") != nullptr || tree_.get(s, "enum") != nullptr)) listing = s;
    if (const auto* type = tree_.get(s, "type")) {
      kinds &= kinds_of_type(*type);
      if (kinds == 0)
        return never_at(s, "no value is of this type and of the one at {}",
                        typed == nullptr ? tree_.pointer(own.front()) : tree_.pointer(typed));
      typed = s;
    }
  }
  if (listing != nullptr) return listed_values(own, listing);
  std::vector<NodeIndex> ways;
  const auto add = [&](Result<NodeIndex> way) -> Result<> {
    if (!way) return std::unexpected(std::move(way).error());
    ways.push_back(*way);
    return {};
  };
  if ((kinds & kObject) != 0) SLUICE_TRY(add(object(own)));
  if ((kinds & kArray) != 0) SLUICE_TRY(add(array(own)));
  if ((kinds & kString) != 0) SLUICE_TRY(add(string(own)));
  if ((kinds & kFraction) != 0)
    SLUICE_TRY(add(number(own, false)));
  else if ((kinds & kInteger) != 0)
    SLUICE_TRY(add(number(own, true)));
  if ((kinds & kBoolean) != 0) ways.push_back(text_.boolean());
  if ((kinds & kNull) != 0) ways.push_back(g_.literal("null"));
  return g_.choice(std::move(ways));
}

Result<NodeIndex> SchemaCompiler::listed_values(const Schemas& own, const Json* listing) {
  Schemas candidates;
  if (const auto* only = tree_.get(listing, "const")) {
    candidates.push_back(only);
  } else {
    for (const auto& v : *tree_.get(listing, "enum")) candidates.push_back(&v);
  }
  std::vector<NodeIndex> ways;
  for (const auto* v : candidates) {
    bool holds = true;
    for (const auto* s : own) {
      SLUICE_ASSIGN(const bool accepted, values_.accepts_itself(s, *v));
      if (!accepted) holds = false;
      if (!holds) break;
    }
    if (holds) ways.push_back(text_.value(*v));
    SLUICE_TRY(room());
  }
  if (ways.empty()) return never_at(listing, "none of the listed values satisfies the other keywords");
  return g_.choice(std::move(ways));
}

Result<NodeIndex> SchemaCompiler::number(const Schemas& own, bool integer) {
  NumberBounds bounds{.integer = integer};
  const Json* place = own.empty() ? tree_.root() : own.front();
  for (const auto* s : own) {
    add_bounds(tree_, s, bounds);
    if (tree_.get(s, "multipleOf") != nullptr || tree_.get(s, "minimum") != nullptr) place = s;
  }
  if (!bounds.low && !bounds.high && bounds.multiples_of.empty() && !integer) return text_.any_number();
  auto made = add_number(g_, bounds);
  if (!made) return tree_.refuse(place, made.error().code, "{}", made.error().message);
  const auto& n = g_.node(*made);
  if (n.op == Op::choice && n.children.empty()) return never_at(place, "no number is within these bounds");
  return made;
}

}  // namespace sluice::text::grammar
