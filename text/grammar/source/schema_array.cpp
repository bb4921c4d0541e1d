// Arrays: the first items each by its own schema, the rest by one.
#include <algorithm>
#include <bit>
#include <utility>

#include "text/grammar/source/schema_compiler.h"

namespace sluice::text::grammar {
namespace {

constexpr std::size_t kMostDistinct = 8;  // listed values of an array without repetitions: a rule for each subset

bool allows_nothing(const Schemas& all) {
  return std::ranges::any_of(all, [](const Json* s) { return *s == false; });
}

}  // namespace

Result<NodeIndex> SchemaCompiler::array(const Schemas& own) {
  std::size_t first = 0, least = 0, most = kUnlimited;
  bool unique = false, ends = false;
  const Json* place = own.empty() ? tree_.root() : own.front();
  for (const auto* s : own) {
    const auto* prefix = tree_.get(s, "prefixItems");
    if (prefix != nullptr) first = std::max(first, prefix->size());
    if (prefix != nullptr && tree_.get(s, "items") == nullptr) ends = options_.closed;
    if (const auto* k = tree_.get(s, "minItems")) least = std::max(least, count_of(*k));
    if (const auto* k = tree_.get(s, "maxItems")) most = std::min(most, count_of(*k));
    if (const auto* k = tree_.get(s, "uniqueItems")) unique = unique || k->get<bool>();
    for (const std::string_view keyword : {"minItems", "maxItems", "uniqueItems"})
      if (tree_.get(s, keyword) != nullptr) place = s;
  }
  const auto schemas_at = [&](std::size_t i) {
    Schemas all;
    for (const auto* s : own) {
      const auto* prefix = tree_.get(s, "prefixItems");
      const auto* part = prefix != nullptr && i < prefix->size() ? tree_.item(prefix, i) : tree_.get(s, "items");
      if (part != nullptr) all.push_back(part);
    }
    return all;
  };
  const auto rest = schemas_at(first);
  if ((ends && least <= first) || allows_nothing(rest)) most = std::min(most, first);
  for (std::size_t i = 0; i < std::min(first, most); ++i)
    if (allows_nothing(schemas_at(i))) most = i;
  if (least > most) return never_at(place, "minItems is above the number of items that may be");
  for (const auto n : {least, most})
    if (n > options_.limits.repeats && n != kUnlimited)
      return tree_.refuse(place, Errc::invalid_argument, "an array of more than {} items is not supported",
                          options_.limits.repeats);
  if (unique && most > 1) {
    if (first > 0)
      return tree_.refuse(place, Errc::unsupported, "uniqueItems beside prefixItems is not supported; leave it out");
    return distinct_items(place, rest, least, most);
  }
  const auto times = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
  const auto less = [](std::size_t n, std::size_t by) { return n == kUnlimited ? n : n - std::min(n, by); };
  // From the last to the first: what may follow once so many items are written.
  auto tail = g_.literal("");
  if (most > first) {
    const auto item = value(rest);
    const auto next = g_.sequence({text_.comma(), item});
    const auto low = least - std::min(least, first);
    if (first > 0) {
      tail = g_.repeat(next, times(low), times(less(most, first)));
    } else {
      tail = g_.sequence({item, g_.repeat(next, times(low - std::min<std::size_t>(low, 1)), times(less(most, 1)))});
      if (least == 0) tail = g_.optional(tail);
    }
  }
  for (auto i = std::min(first, most); i-- > 0;) {
    std::vector<NodeIndex> parts;
    if (i > 0) parts.push_back(text_.comma());
    parts.push_back(value(schemas_at(i)));
    parts.push_back(tail);
    tail = g_.sequence(std::move(parts));
    if (i >= least) tail = g_.optional(tail);
    if (i % 16 == 15) {  // not nested without bound
      const auto rule = g_.declare("items");
      g_.define(rule, tail);
      tail = g_.rule(rule);
    }
    SLUICE_TRY(room());
  }
  return text_.brackets(tail);
}

Result<NodeIndex> SchemaCompiler::distinct_items(const Json* place, const Schemas& items, std::size_t least,
                                                 std::size_t most) {
  SLUICE_ASSIGN(const auto picked, alternatives({}, items));
  Schemas values;
  for (const auto& own : picked) {
    const Json* listed = nullptr;
    for (const auto* s : own)
      if (tree_.get(s, "enum") != nullptr || tree_.get(s, "const") != nullptr) listed = s;
    if (listed == nullptr)
      return tree_.refuse(place, Errc::unsupported,
                          "uniqueItems is supported where the items are listed values (enum); leave it out");
    Schemas candidates;
    if (const auto* only = tree_.get(listed, "const"))
      candidates.push_back(only);
    else
      for (const auto& v : *tree_.get(listed, "enum")) candidates.push_back(&v);
    for (const auto* v : candidates) {
      bool holds = std::ranges::none_of(values, [&](const Json* other) { return same_value(*other, *v); });
      for (const auto* s : own) {
        if (!holds) break;
        SLUICE_ASSIGN(holds, values_.accepts_itself(s, *v));
      }
      if (holds) values.push_back(v);
    }
    if (values.size() > kMostDistinct)
      return tree_.refuse(place, Errc::unsupported, "uniqueItems of more than {} listed values is not supported",
                          kMostDistinct);
  }
  if (least > values.size()) return never_at(place, "minItems is above the number of different items");
  std::vector<NodeIndex> texts;
  for (const auto* v : values) texts.push_back(text_.value(*v));
  // after[used]: what may follow once these are written.
  std::vector<RuleIndex> after;
  for (std::size_t used = 0; used < (std::size_t{1} << values.size()); ++used) after.push_back(g_.declare("distinct"));
  for (std::size_t used = 0; used < after.size(); ++used) {
    std::vector<NodeIndex> ways;
    const auto count = static_cast<std::size_t>(std::popcount(used));
    if (count >= least) ways.push_back(g_.literal(""));
    for (std::size_t v = 0; v < values.size() && count < most; ++v) {
      if ((used >> v & 1U) != 0) continue;
      const auto then = g_.rule(after[used | (std::size_t{1} << v)]);
      ways.push_back(count == 0 ? g_.sequence({texts[v], then}) : g_.sequence({text_.comma(), texts[v], then}));
    }
    g_.define(after[used], g_.choice(std::move(ways)));
  }
  return text_.brackets(g_.rule(after[0]));
}

}  // namespace sluice::text::grammar
