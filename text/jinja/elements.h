#pragma once
// What the filters over elements share: attributes by path, keys to sort by, generators.
#include "text/jinja/arguments.h"
#include "text/jinja/iterate.h"

namespace sluice::text::jinja {

/// make_attrgetter: "a.b.0" goes down step by step; null or None is the element itself.
class Getter {
 public:
  Getter(const Value* attribute, Budget& budget);
  [[nodiscard]] Value of(const Value& element) const;
  /// What stands for an undefined attribute.
  void fall_back_to(const Value* v) {
    if (v != nullptr && !v->is_none()) fallback_ = *v;
  }

 private:
  Budget* budget_;
  std::vector<Value> parts_;
  std::optional<Value> fallback_;
};

/// Strings compare without case unless asked.
[[nodiscard]] Value ignore_case(Value v, bool case_sensitive, Budget& budget);

/// sorted(): stable, also in reverse.
void sort_by_key(std::vector<Value>& items, const std::function<Value(const Value&)>& key, bool reverse,
                 Budget& budget);

/// Items of a value, begun when the first is asked for. `if_true`: nothing of a value that is not true, None among
/// them.
class Lazy {
 public:
  Lazy(Value over, bool if_true, Budget& budget) : over_(std::move(over)), if_true_(if_true), budget_(&budget) {}
  [[nodiscard]] std::optional<Value> next();

 private:
  Value over_;
  bool if_true_;
  Budget* budget_;
  std::optional<Cursor> cursor_;
  bool empty_ = false;
};

/// A Python generator over `input` that may hold `args`.
[[nodiscard]] Value generator(const Value& input, const Args& args, std::function<std::optional<Value>()> pull,
                              Budget& budget);

}  // namespace sluice::text::jinja
