// oneOf: exactly one branch must hold. A grammar says "one of these" only, so the branches must exclude each other.
// That is found out by asking for a value of which both hold: there must be none.
#include <algorithm>
#include <utility>

#include "text/grammar/source/schema_compiler.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMaxBranches = 64;

bool names(const Json* list, std::string_view name) {
  return list != nullptr && std::ranges::any_of(*list, [&](const Json& n) { return n == name; });
}

/// The values that a schema lists, or null.
Json listed(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  if (const auto only = schema.find("const"); only != schema.end()) return Json::array({*only});
  const auto list = schema.find("enum");
  return list == schema.end() || !list->is_array() ? Json(nullptr) : *list;
}

}  // namespace

bool SchemaCompiler::told_by_a_property(const Json* a, const Json* b, const Json* beside) {
  for (const auto** s : {&a, &b}) {
    for (std::size_t hops = 0; hops < 8 && tree_.get(*s, "$ref") != nullptr; ++hops) {
      const auto target = tree_.resolve(*s);
      if (!target) return false;
      *s = *target;
    }
    const auto* type = tree_.get(*s, "type");
    if (type == nullptr || *type != "object" || !tree_.check(*s)) return false;
  }
  const auto* of_a = tree_.get(a, "properties");
  const auto* of_b = tree_.get(b, "properties");
  if (of_a == nullptr || of_b == nullptr) return false;
  const auto required = [&](const Json* s, std::string_view name) {
    return names(tree_.get(s, "required"), name) || (beside != nullptr && names(tree_.get(beside, "required"), name));
  };
  for (const auto& [name, schema] : of_a->items()) {
    const auto values = listed(schema);
    if (values.is_null() || values.size() > 16 || !required(a, name) || !required(b, name)) continue;
    const auto* other = tree_.named(of_b, name);
    const auto others = other == nullptr ? Json(nullptr) : listed(*other);
    if (others.is_null() || others.size() > 16) continue;
    const bool apart = std::ranges::none_of(values, [&](const Json& v) {
      return std::ranges::any_of(others, [&](const Json& o) { return same_value(v, o); });
    });
    if (apart) return true;
  }
  return false;
}

Result<std::vector<Schemas>> SchemaCompiler::branches_of_one(const Json* schema, const Schemas& own) {
  const auto* branches = tree_.get(schema, "oneOf");
  std::vector<Schemas> out;
  for (std::size_t i = 0; i < branches->size(); ++i) {
    out.push_back({tree_.item(branches, i)});
    SLUICE_TRY(tree_.check(out.back().front()));
  }
  if (!exact_one_ || out.size() == 1) return out;
  if (out.size() > kMaxBranches)
    return tree_.refuse(schema, Errc::unsupported, "oneOf of more than {} branches is not supported; write anyOf",
                        kMaxBranches);
  SLUICE_ASSIGN(const bool apart, all_exclusive(own, branches, nullptr));
  if (apart) return out;
  // A property that tells the branches apart but may be left out: then it may not.
  for (const auto& name : telling_names(schema)) {
    auto& required = made_required_[name];
    if (required == nullptr) required = tree_.made(Json{{"required", Json::array({name})}}, schema);
    SLUICE_ASSIGN(const bool told, all_exclusive(own, branches, required));
    if (!told) continue;
    for (auto& branch : out) branch.push_back(required);
    return out;
  }
  return tree_.refuse(schema, Errc::unsupported,
                      "more than one branch of oneOf can hold of the same value; write anyOf, or give each branch a "
                      "required property with a const of its own");
}

Result<bool> SchemaCompiler::all_exclusive(const Schemas& own, const Json* branches, const Json* beside) {
  for (std::size_t i = 0; i < branches->size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      SLUICE_ASSIGN(const bool apart, exclusive(own, tree_.item(branches, j), tree_.item(branches, i), beside));
      if (!apart) return false;
    }
  }
  return true;
}

Result<bool> SchemaCompiler::exclusive(const Schemas& own, const Json* a, const Json* b, const Json* beside) {
  if (told_by_a_property(a, b, beside)) return true;  // the common case, at once
  steps_ += 50;
  if (steps_ > 200'000)
    return tree_.refuse(a, Errc::invalid_argument, "the schema is too large: oneOf in too many ways");
  Grammar scratch;
  auto options = options_;
  options.limits.nodes = 20'000;
  options.closed = false;  // what may be, not what we would write
  SchemaCompiler both(scratch, tree_, values_, options, false);
  Schemas all{a, b};
  if (beside != nullptr) all.push_back(beside);
  const auto made = both.run(own, all);
  // Too large to tell: not known to be apart.
  if (!made) return made.error().code == Errc::invalid_argument ? Result<bool>(false) : std::unexpected(made.error());
  return !scratch.can_match(*made);
}

std::vector<std::string> SchemaCompiler::telling_names(const Json* schema) {
  constexpr std::size_t kTried = 16;
  if (const auto* d = tree_.get(schema, "discriminator"); d != nullptr && d->is_object()) {
    const auto name = d->find("propertyName");
    if (name != d->end() && name->is_string()) return {name->get<std::string>()};
  }
  std::vector<std::string> out;
  const auto* first = tree_.item(tree_.get(schema, "oneOf"), 0);
  for (std::size_t hops = 0; hops < 8 && tree_.get(first, "$ref") != nullptr; ++hops) {
    const auto target = tree_.resolve(first);
    if (!target) return out;
    first = *target;
  }
  const auto* listed = tree_.get(first, "properties");
  if (listed == nullptr || !listed->is_object()) return out;
  for (const auto& [name, property] : listed->items()) {
    if (out.size() >= kTried) break;
    if (property.is_object() && (property.contains("const") || property.contains("enum") || property.contains("$ref")))
      out.push_back(name);
  }
  return out;
}

}  // namespace sluice::text::grammar
