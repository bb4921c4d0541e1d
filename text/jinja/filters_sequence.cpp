// Filters over all elements of a sequence at once: order, groups, sums.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/compare.h"
#include "text/jinja/dict.h"
#include "text/jinja/elements.h"
#include "text/jinja/item.h"
#include "text/jinja/operators.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

Value sort(const Value& v, const Args& args, Budget& b) {
  const Params p("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<Getter> getters;  // of "a,b" one each
  if (const Text* path = p.some(2) != nullptr ? p.get(2)->str() : nullptr) {
    split(path->bytes, ",", -1, [&](Span span) {
      const Value part = Value::string(path->bytes.substr(span.begin, span.end - span.begin), b);
      getters.emplace_back(&part, b);
    });
  } else {
    getters.emplace_back(p.get(2), b);
  }
  std::vector<Value> items = iterate(v, b);
  const auto key = [&](const Value& item) {  // a list, as Jinja has it: equal parts need no order
    std::vector<Value> parts;
    for (const Getter& g : getters) parts.push_back(ignore_case(g.of(item), p.flag(1, false), b));
    return Value::list(std::move(parts), b);
  };
  sort_by_key(items, key, p.flag(0, false), b);
  return Value::list(std::move(items), b);
}

Value dictsort(const Value& v, const Args& args, Budget& b) {
  const Params p("dictsort", args, {"case_sensitive", "by", "reverse"});
  refuse_undefined(v);
  if (v.dict() == nullptr) fault("'{}' object has no attribute 'items'", v.type_name());
  const std::string by = p.get(1) != nullptr ? p.need_text(1).bytes : "key";
  if (by != "key" && by != "value") fault("You can only sort by either \"key\" or \"value\"");
  std::vector<Value> items;
  for (const auto& [k, e] : v.dict()->items()) items.push_back(Value::list({k, e}, b, ListKind::tuple));
  const std::size_t index = by == "key" ? 0 : 1;
  const auto key = [&](const Value& pair) { return ignore_case(pair.list()->items[index], p.flag(0, false), b); };
  sort_by_key(items, key, p.flag(2, false), b);
  return Value::list(std::move(items), b);
}

template <bool largest>
Value extreme(const Value& v, const Args& args, Budget& b) {
  const Params p(largest ? "max" : "min", args, {"case_sensitive", "attribute"});
  const Getter getter(p.get(1), b);
  Cursor items(v, b);
  std::optional<Value> best = items.next();
  if (!best) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key_of = [&](const Value& item) { return ignore_case(getter.of(item), p.flag(0, false), b); };
  Value best_key = key_of(*best);
  while (auto item = items.next()) {
    Value key = key_of(*item);
    if (!(largest ? less(best_key, key, b, ">") : less(key, best_key, b))) continue;
    best = std::move(item);
    best_key = std::move(key);
  }
  return *best;
}

Value unique(const Value& v, const Args& args, Budget& b) {
  const Params p("unique", args, {"case_sensitive", "attribute"});
  const auto pull = [items = Lazy(v, false, b), getter = Getter(p.get(1), b), sensitive = p.flag(0, false),
                     seen = Dict(), &b]() mutable -> std::optional<Value> {
    while (auto item = items.next()) {
      Value key = ignore_case(getter.of(*item), sensitive, b);
      if (seen.find(key, b) != nullptr) continue;
      b.memory(sizeof(Dict::Entry));
      seen.set(std::move(key), Value::none(), b);
      return item;
    }
    return std::nullopt;
  };
  return generator(v, args, pull, b);
}

Value sum(const Value& v, const Args& args, Budget& b) {
  const Params p("sum", args, {"attribute", "start"});
  const Getter getter(p.get(0), b);
  Value total = p.get(1) != nullptr ? *p.get(1) : Value::integer(0);
  if (total.str() != nullptr) fault("sum() can't sum strings [use ''.join(seq) instead]");
  Cursor items(v, b);
  while (const auto item = items.next()) total = arithmetic(BinaryOp::add, total, getter.of(*item), b);
  return total;
}

Value join(const Value& v, const Args& args, Budget& b) {
  const Params p("join", args, {"d", "attribute"});
  const Getter getter(p.get(1), b);
  const Text separator = p.get(0) != nullptr ? to_text(*p.get(0), b) : Text{};
  TextBuilder out(b);
  Cursor items(v, b);
  for (bool first = true; const auto item = items.next(); first = false) {
    if (!first) out.add(separator);
    const Value e = getter.of(*item);
    if (e.str() != nullptr)
      out.add(*e.str());
    else
      out.add(to_text(e, b));
  }
  return Value::string(out.take(), b);
}

Value first(const Value& v, const Args&, Budget& b) {
  Cursor items(v, b);
  if (auto item = items.next()) return *std::move(item);
  return Value::undefined("No first item, sequence was empty.");
}

Value last(const Value& v, const Args&, Budget& b) {
  if (const Text* s = v.str(); s != nullptr && !s->empty())
    return Value::string(piece(*s, last_character(s->bytes), s->size()), b);
  if (v.is<IteratorRef>() || !iterable(v)) fault("'{}' object is not reversible", v.type_name());
  if (v.list() != nullptr && !v.list()->items.empty()) return v.list()->items.back();
  const std::vector<Value> items = iterate(v, b);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value reverse(const Value& v, const Args&, Budget& b) {
  if (v.str() != nullptr) {
    const Value back = Value::integer(-1);
    return slice(v, nullptr, nullptr, &back, b);
  }
  if (!iterable(v)) fault("argument must be iterable");
  std::vector<Value> items = iterate(v, b);
  std::ranges::reverse(items);
  Value list = Value::list(std::move(items), b);
  if (v.is<IteratorRef>()) return list;
  return Value::iterator(
      "list_reverseiterator", list.depth(), [items = Cursor(list, b)]() mutable { return items.next(); }, b);
}

Value groupby(const Value& v, const Args& args, Budget& b) {
  const Params p("groupby", args, {"attribute", "default", "case_sensitive"});
  (void)p.need(0);
  Getter getter(p.get(0), b);
  getter.fall_back_to(p.get(1));
  const auto key = [&](const Value& item) { return ignore_case(getter.of(item), p.flag(2, false), b); };
  std::vector<Value> items = iterate(v, b);
  sort_by_key(items, key, false, b);
  std::vector<Value> groups;
  for (std::size_t i = 0; i < items.size();) {
    const Value k = key(items[i]);
    std::vector<Value> members;
    std::size_t end = i;
    while (end < items.size() && equals(key(items[end]), k, b)) members.push_back(items[end++]);
    groups.push_back(Value::list({getter.of(items[i]), Value::list(std::move(members), b)}, b, ListKind::group));
    i = end;
  }
  return Value::list(std::move(groups), b);
}

Value batch(const Value& v, const Args& args, Budget& b) {
  const Params p("batch", args, {"linecount", "fill_with"});
  (void)p.need(0);
  const auto fill = p.some(1) != nullptr ? std::optional(*p.some(1)) : std::nullopt;
  const auto pull = [items = Lazy(v, false, b), count = p.integer(0, 0), fill, held = std::optional<Value>(),
                     &b]() mutable -> std::optional<Value> {
    std::vector<Value> row;
    if (held) row.push_back(*std::exchange(held, std::nullopt));
    while (auto item = items.next()) {
      if (std::ssize(row) == count) {
        held = std::move(item);
        break;
      }
      b.memory(sizeof(Value));
      row.push_back(*std::move(item));
    }
    // With a count of 0 the first row is empty, and all that follows is one.
    if (row.empty() && !held) return std::nullopt;
    if (held && count == 0) count = -1;
    for (; fill && !held && std::ssize(row) < count; b.memory(sizeof(Value))) row.push_back(*fill);
    return Value::list(std::move(row), b);
  };
  return generator(v, args, pull, b);
}

Value slice_rows(const Value& v, const Args& args, Budget& b) {
  const Params p("slice", args, {"slices", "fill_with"});
  (void)p.need(0);
  const std::int64_t slices = p.integer(0, 0);
  const auto fill = p.some(1) != nullptr ? std::optional(*p.some(1)) : std::nullopt;
  const auto pull = [v, slices, fill, items = std::vector<Value>(), at = std::int64_t{-1}, offset = std::int64_t{0},
                     &b]() mutable -> std::optional<Value> {
    if (at < 0) {
      items = iterate(v, b);
      if (slices == 0) fault("integer division or modulo by zero");
      at = 0;
    }
    if (at >= slices) return std::nullopt;
    const std::int64_t per = std::ssize(items) / slices;
    const std::int64_t extra = std::ssize(items) % slices;
    const std::int64_t start = offset + at * per;
    if (at < extra) ++offset;
    const std::int64_t end = offset + (at + 1) * per;
    std::vector<Value> row(items.begin() + start, items.begin() + end);
    if (fill && at >= extra) row.push_back(*fill);
    ++at;
    return Value::list(std::move(row), b);
  };
  return generator(v, args, pull, b);
}

}  // namespace

const Filters& sequence_filters() {
  static const Filters kFilters = {
      {"batch", batch},
      {"count", [](auto& v, auto&, auto& b) { return Value::integer(length(v, b)); }},
      {"dictsort", dictsort},
      {"first", first},
      {"groupby", groupby},
      {"join", join},
      {"last", last},
      {"length", [](auto& v, auto&, auto& b) { return Value::integer(length(v, b)); }},
      {"list", [](auto& v, auto&, auto& b) { return Value::list(iterate(v, b), b); }},
      {"max", extreme<true>},
      {"min", extreme<false>},
      {"reverse", reverse},
      {"slice", slice_rows},
      {"sort", sort},
      {"sum", sum},
      {"unique", unique},
  };
  return kFilters;
}

}  // namespace sluice::text::jinja
