#include "text/jinja/elements.h"

#include <algorithm>

#include "text/jinja/compare.h"
#include "text/jinja/item.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

Getter::Getter(const Value* attribute, Budget& budget) : budget_(&budget) {
  if (attribute == nullptr || attribute->is_none()) return;
  const Text* path = attribute->str();
  if (path == nullptr) {
    parts_.push_back(*attribute);
    return;
  }
  split(path->bytes, ".", -1, [&](Span span) {
    const std::string part = path->bytes.substr(span.begin, span.end - span.begin);
    const bool digits = !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    const auto index = digits ? parse_integer(part, 10, budget) : std::nullopt;
    parts_.push_back(index ? *index : Value::string(part, budget));
  });
}

Value Getter::of(const Value& element) const {
  Value at = element;
  for (const Value& part : parts_) {
    budget_->step();
    at = subscript(at, part, *budget_);
    if (at.is_undefined() && fallback_) at = *fallback_;
  }
  return at;
}

Value ignore_case(Value v, bool case_sensitive, Budget& budget) {
  if (case_sensitive || v.str() == nullptr) return v;
  return Value::string(lower(*v.str(), budget), budget);
}

void sort_by_key(std::vector<Value>& items, const std::function<Value(const Value&)>& key, bool reverse,
                 Budget& budget) {
  std::vector<std::pair<Value, Value>> keyed;
  budget.memory(items.size() * sizeof(keyed[0]));
  keyed.reserve(items.size());
  for (Value& v : items) {
    Value k = key(v);
    keyed.emplace_back(std::move(k), std::move(v));
  }
  const auto before = [&](const auto& x, const auto& y) { return less(x.first, y.first, budget); };
  // A comparison may throw; stable_sort then leaves moved-from elements, which nobody looks at again.
  if (reverse) std::ranges::reverse(keyed);
  std::ranges::stable_sort(keyed, before);
  if (reverse) std::ranges::reverse(keyed);
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
}

std::optional<Value> Lazy::next() {
  if (empty_) return std::nullopt;
  if (!cursor_) {
    if (if_true_ && !truthy(over_)) {
      empty_ = true;
      return std::nullopt;
    }
    cursor_.emplace(over_, *budget_);
  }
  return cursor_->next();
}

Value generator(const Value& input, const Args& args, std::function<std::optional<Value>()> pull, Budget& budget) {
  std::uint32_t depth = input.depth();
  for (const Value& v : args.positional) depth = std::max(depth, v.depth());
  for (const auto& [name, v] : args.keyword) depth = std::max(depth, v.depth());
  budget.memory(args.positional.size() * sizeof(Value) + args.keyword.size() * 64);
  return Value::iterator("generator", depth, std::move(pull), budget);
}

}  // namespace sluice::text::jinja
