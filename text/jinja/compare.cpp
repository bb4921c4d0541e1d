#include "text/jinja/compare.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/dict.h"
#include "text/jinja/iterate.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

/// -1, 0 or 1; 2 where one is not a number. Exact, also between an int and a float that cannot hold it.
int order(const Value& a, const Value& b) {
  if (a.as_int() && b.as_int()) return *a.as_int() < *b.as_int() ? -1 : *a.as_int() > *b.as_int() ? 1 : 0;
  if (a.is_integral() && b.is_integral()) return to_integer(a).compare(to_integer(b));
  const auto sign = [](double x, double y) { return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; };
  if (a.is<double>() && b.is<double>()) return sign(*a.get<double>(), *b.get<double>());
  const double d = a.is<double>() ? *a.get<double>() : *b.get<double>();
  const Value& whole = a.is<double>() ? b : a;
  if (std::abs(*whole.as_double()) < 0x1p53 || !std::isfinite(d)) return sign(*a.as_double(), *b.as_double());
  const int c = Integer(std::floor(d)).compare(to_integer(whole));  // of the float to the integer
  const int exact = c != 0 ? c : d != std::floor(d) ? 1 : 0;
  return a.is<double>() ? exact : -exact;
}

bool items_equal(const List& a, const List& b, Budget& budget) {
  if (a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equals(a.items[i], b.items[i], budget)) return false;
  return true;
}

bool dicts_equal(const Dict& a, const Dict& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  return std::ranges::all_of(a.items(), [&](const Dict::Entry& e) {
    const Value* other = b.find(e.key, budget);
    return other != nullptr && equals(e.value, *other, budget);
  });
}

bool same_sequence(const Value& a, const Value& b) {
  return a.is_tuple() ? b.is_tuple() : a.list()->kind == b.list()->kind && !b.is_tuple();
}

bool view_contains(const View& view, const Value& item, Budget& budget) {
  if (view.kind == View::Kind::keys) return view.dict->find(item, budget) != nullptr;
  if (view.kind == View::Kind::items) {
    if (!item.is_tuple() || item.list()->items.size() != 2) return false;
    const Value* v = view.dict->find(item.list()->items[0], budget);
    return v != nullptr && equals(*v, item.list()->items[1], budget);
  }
  return std::ranges::any_of(view.dict->items(), [&](const auto& e) { return equals(e.value, item, budget); });
}

bool views_equal(const View& a, const View& b, Budget& budget) {
  if (a.kind == View::Kind::values || a.kind != b.kind) return &a == &b;
  if (a.dict->size() != b.dict->size()) return false;
  return std::ranges::all_of(a.dict->items(), [&](const Dict::Entry& e) {
    const Value* other = b.dict->find(e.key, budget);
    return other != nullptr && (a.kind == View::Kind::keys || equals(e.value, *other, budget));
  });
}

}  // namespace

bool equals(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  if (const auto* i = a.get<std::int64_t>())
    if (const auto* j = b.get<std::int64_t>()) return *i == *j;
  if (a.is_number() && b.is_number()) return order(a, b) == 0;
  if (a.rep().index() != b.rep().index()) return false;
  if (const Text* s = a.str()) {
    budget.scan(std::min(s->size(), b.str()->size()));
    return s->bytes == b.str()->bytes;
  }
  if (a.list() != nullptr) return same_sequence(a, b) && items_equal(*a.list(), *b.list(), budget);
  if (a.dict() != nullptr) return dicts_equal(*a.dict(), *b.dict(), budget);
  if (const auto* v = a.get<ViewRef>()) return views_equal(**v, **b.get<ViewRef>(), budget);
  if (const auto* i = a.get<IteratorRef>()) return *i == *b.get<IteratorRef>();
  if (const auto* n = a.get<Namespace*>()) return *n == *b.get<Namespace*>();
  if (const auto* l = a.get<LoopState*>()) return *l == *b.get<LoopState*>();
  if (const auto* c = a.get<CyclerRef>()) return *c == *b.get<CyclerRef>();
  if (const auto* c = a.get<CallableRef>()) {
    const auto* x = std::get_if<Callable::Bound>(&(*c)->target);
    const auto* y = std::get_if<Callable::Bound>(&(*b.get<CallableRef>())->target);
    const auto* g = std::get_if<Global>(&(*c)->target);
    const auto* h = std::get_if<Global>(&(*b.get<CallableRef>())->target);
    if (g != nullptr && h != nullptr) return *g == *h;
    if (x != nullptr && y != nullptr) return x->name == y->name && equals(x->self, y->self, budget);
    return *c == *b.get<CallableRef>();
  }
  return true;  // both undefined or both none
}

bool less(const Value& a, const Value& b, Budget& budget, std::string_view op) {
  budget.step();
  if (a.is_number() && b.is_number()) return order(a, b) == -1;
  if (a.str() != nullptr && b.str() != nullptr) {  // bytes of UTF-8 sort as code points do
    budget.scan(std::min(a.str()->size(), b.str()->size()));
    return a.str()->bytes < b.str()->bytes;
  }
  if (a.list() != nullptr && b.list() != nullptr && same_sequence(a, b) && a.list()->kind != ListKind::range) {
    const auto& x = a.list()->items;
    const auto& y = b.list()->items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!equals(x[i], y[i], budget)) return less(x[i], y[i], budget, op);
    return x.size() < y.size();
  }
  refuse_undefined(a);
  refuse_undefined(b);
  const bool turned = op.starts_with('>');
  fault("'{}' not supported between instances of '{}' and '{}'", op, (turned ? b : a).type_name(),
        (turned ? a : b).type_name());
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const Text* s = container.str()) {
    if (item.str() == nullptr) fault("'in <string>' requires string as left operand, not {}", item.type_name());
    budget.search(s->size(), item.str()->size());
    return s->bytes.find(item.str()->bytes) != std::string::npos;
  }
  if (const Dict* d = container.dict()) return d->find(item, budget) != nullptr;
  if (container.is_undefined()) return false;
  if (const List* l = container.list())
    return std::ranges::any_of(l->items, [&](const Value& v) { return equals(v, item, budget); });
  if (const auto* view = container.get<ViewRef>()) return view_contains(**view, item, budget);
  if (!iterable(container)) fault("argument of type '{}' is not iterable", container.type_name());
  Cursor cursor(container, budget);
  while (const auto v = cursor.next())
    if (equals(*v, item, budget)) return true;
  return false;
}

}  // namespace sluice::text::jinja
