// Filters that take an element at a time, as Python's generators do, and those that choose a value.
#include "text/jinja/builtins.h"
#include "text/jinja/dict.h"
#include "text/jinja/elements.h"
#include "text/jinja/item.h"
#include "text/jinja/methods.h"

namespace sluice::text::jinja {

namespace {

Args after(const Args& args, std::size_t used) {
  return {{args.positional.begin() + static_cast<std::ptrdiff_t>(used), args.positional.end()}, args.keyword};
}

const std::string& name_of(const Value& v, std::string_view what) {
  refuse_undefined(v);
  if (v.str() == nullptr) fault("a {} is named by a string, not {}", what, v.type_name());
  return v.str()->bytes;
}

/// The test that select and its kin apply; set up when the first element is asked for, as in Jinja.
class Chooser {
 public:
  Chooser(const Value& v, const Args& args, bool by_attribute, bool keep, Budget& b)
      : items_(v, true, b), args_(args), by_attribute_(by_attribute), keep_(keep), budget_(&b) {}

  std::optional<Value> next() {
    while (auto item = items_.next()) {
      if (!getter_) begin();
      const Value subject = getter_->of(*item);
      const bool holds = test_.empty() ? truthy(subject) : apply_test(test_, subject, rest_, *budget_);
      if (holds == keep_) return item;
    }
    return std::nullopt;
  }

 private:
  void begin() {
    const std::size_t used = by_attribute_ ? 1 : 0;
    if (args_.positional.size() < used) fault("Missing parameter for attribute name");
    getter_.emplace(by_attribute_ ? &args_.positional[0] : nullptr, *budget_);
    if (args_.positional.size() == used) return;
    test_ = name_of(args_.positional[used], "test");
    rest_ = after(args_, used + 1);
  }

  Lazy items_;
  Args args_;
  bool by_attribute_, keep_;
  Budget* budget_;
  std::optional<Getter> getter_;
  std::string test_;
  Args rest_;
};

template <bool by_attribute, bool keep>
Value select(const Value& v, const Args& args, Budget& b) {
  return generator(v, args, [c = Chooser(v, args, by_attribute, keep, b)]() mutable { return c.next(); }, b);
}

class Mapper {
 public:
  Mapper(const Value& v, const Args& args, Budget& b) : items_(v, true, b), args_(args), budget_(&b) {}

  std::optional<Value> next() {
    auto item = items_.next();
    if (!item) return item;
    if (!getter_ && filter_.empty()) begin();
    return getter_ ? getter_->of(*item) : apply_filter(filter_, *item, rest_, *budget_);
  }

 private:
  void begin() {
    if (args_.positional.empty()) {
      if (args_.keyword.empty()) fault("map requires a filter argument");
      const Params p("map", args_, {"attribute", "default"});
      getter_.emplace(&p.need(0), *budget_);
      getter_->fall_back_to(p.get(1));
      return;
    }
    filter_ = name_of(args_.positional[0], "filter");
    rest_ = after(args_, 1);
  }

  Lazy items_;
  Args args_;
  Budget* budget_;
  std::optional<Getter> getter_;
  std::string filter_;
  Args rest_;
};

Value map(const Value& v, const Args& args, Budget& b) {
  return generator(v, args, [m = Mapper(v, args, b)]() mutable { return m.next(); }, b);
}

Value items(const Value& v, const Args& args, Budget& b) {
  const Params p("items", args, {});
  const auto pull = [v, at = std::size_t{0}, &b]() mutable -> std::optional<Value> {
    if (v.is_undefined()) return std::nullopt;
    if (v.dict() == nullptr) fault("Can only get item pairs from a mapping.");
    if (at >= v.dict()->size()) return std::nullopt;
    const auto& [key, value] = v.dict()->items()[at++];
    return Value::list({key, value}, b, ListKind::tuple);
  };
  return generator(v, args, pull, b);
}

Value fallback(const Value& v, const Args& args, Budget& b) {
  const Params p("default", args, {"default_value", "boolean"});
  if (!v.is_undefined() && !(p.flag(1, false) && !truthy(v))) return v;
  return p.get(0) != nullptr ? *p.get(0) : Value::string("", b);
}

Value attribute(const Value& v, const Args& args, Budget& b) {
  const Params p("attr", args, {"name"});
  const std::string& name = p.need_text(0).bytes;
  if (v.dict() != nullptr && find_method(v, name).method == nullptr && !forbidden_method(v, name))
    return Value::undefined({Missing::Form::attribute, name, v.type_name()});
  return attribute_of(v, name, b);
}

}  // namespace

const Filters& selecting_filters() {
  static const Filters kFilters = {
      {"attr", attribute},
      {"d", fallback},
      {"default", fallback},
      {"items", items},
      {"map", map},
      {"reject", select<false, false>},
      {"rejectattr", select<true, false>},
      {"select", select<false, true>},
      {"selectattr", select<true, true>},
  };
  return kFilters;
}

}  // namespace sluice::text::jinja
