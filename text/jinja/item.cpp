#include "text/jinja/item.h"

#include <algorithm>

#include "text/jinja/ast.h"
#include "text/jinja/characters.h"
#include "text/jinja/dict.h"
#include "text/jinja/loop.h"
#include "text/jinja/methods.h"
#include "text/jinja/namespace.h"

namespace sluice::text::jinja {

namespace {

Value bound(const Value& self, std::string_view name, Method method, Budget& budget) {
  budget.memory(sizeof(Callable));
  return Value(std::make_shared<const Callable>(Callable{Callable::Bound{self, name, method}}));
}

std::optional<Value> macro_attribute(const MacroNode& macro, std::string_view name, Budget& budget) {
  if (name == "name") return Value::string(macro.name, budget);
  if (name == "catch_kwargs") return Value::boolean(macro.takes_kwargs);
  if (name == "catch_varargs") return Value::boolean(macro.takes_varargs);
  if (name == "caller") return Value::boolean(macro.takes_caller);
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const auto& p : macro.parameters) names.push_back(Value::string(p.name.text, budget));
  return Value::list(std::move(names), budget, ListKind::tuple);
}

std::optional<Value> cycler_attribute(const Value& self, const Cycler& c, std::string_view name, Budget& budget) {
  if (name == "current") return c.items[c.at];
  if (name == "next") return bound(self, "next", nullptr, budget);
  if (name == "reset") return bound(self, "reset", nullptr, budget);
  return std::nullopt;
}

/// What Python's getattr() finds, as far as a template may see it.
std::optional<Value> real_attribute(const Value& object, std::string_view name, Budget& budget) {
  if (const FoundMethod m = find_method(object, name); m.method != nullptr)
    return bound(object, m.name, m.method, budget);
  if (const auto* ns = object.get<Namespace*>()) {
    const Value* v = (*ns)->attributes.find(name);
    return v != nullptr ? std::optional(*v) : std::nullopt;
  }
  if (const auto* loop = object.get<LoopState*>()) {
    if (const auto method = (*loop)->method(name)) return bound(object, *method, nullptr, budget);
    return (*loop)->attribute(name);
  }
  if (const auto* c = object.get<CyclerRef>()) return cycler_attribute(object, **c, name, budget);
  if (const List* l = object.list();
      l != nullptr && l->kind == ListKind::group && (name == "grouper" || name == "list"))
    return l->items[name == "grouper" ? 0 : 1];
  if (const auto* c = object.get<CallableRef>()) {
    if (const auto* macro = std::get_if<Callable::Macro>(&(*c)->target))
      return macro_attribute(*macro->node, name, budget);
    if (const auto* g = std::get_if<Global>(&(*c)->target); g != nullptr && *g == Global::dict && name == "fromkeys")
      return bound(object, "fromkeys", dict_from_keys, budget);
  }
  if (object.str() != nullptr && unsupported_method(name)) fault("the chat template engine has no str.{}()", name);
  if (forbidden_method(object, name) && !name.starts_with("__"))
    return Value::undefined({Missing::Form::unsafe, std::string(name), object.type_name()});
  return std::nullopt;
}

Value missing(const Value& object, std::string_view name) {
  if (forbidden_method(object, name))
    return Value::undefined({Missing::Form::unsafe, std::string(name), object.type_name()});
  return Value::undefined({Missing::Form::attribute, std::string(name), object.type_name()});
}

std::optional<Value> item_of(const Value& object, const Value& key, Budget& budget) {
  if (const Dict* d = object.dict()) {
    if (key.list() != nullptr && !key.is_tuple()) return std::nullopt;  // not hashable: Python's TypeError
    if (key.dict() != nullptr) return std::nullopt;
    const Value* v = d->find(key, budget);
    return v != nullptr ? std::optional(*v) : std::nullopt;
  }
  auto i = key.as_int();
  if (!i) return std::nullopt;
  if (const List* l = object.list()) {
    if (*i < 0) *i += std::ssize(l->items);
    if (*i < 0 || *i >= std::ssize(l->items)) return std::nullopt;
    return l->items[static_cast<std::size_t>(*i)];
  }
  if (const Text* s = object.str()) {
    budget.scan(s->size());
    const auto n = static_cast<std::int64_t>(character_count(s->bytes));
    if (*i < 0) *i += n;
    if (*i < 0 || *i >= n) return std::nullopt;
    const std::size_t from = static_cast<std::size_t>(n) == s->size() ? static_cast<std::size_t>(*i)
                                                                      : byte_of(s->bytes, static_cast<std::size_t>(*i));
    return Value::string(piece(*s, from, from + character_at(s->bytes, from).length), budget);
  }
  return std::nullopt;
}

/// slice.indices(): the positions a slice picks from n elements.
struct Indices {
  std::int64_t start, stop, step, count;
};

Indices indices(std::int64_t n, const Value* start, const Value* stop, const Value* step) {
  const auto number = [](const Value* v) -> std::optional<std::int64_t> {
    if (v == nullptr || v->is_none()) return std::nullopt;
    if (const auto* big = v->get<BigRef>()) return *Value(*big).as_double() < 0 ? INT64_MIN + 1 : INT64_MAX;
    return v->as_int();
  };
  const std::int64_t by = std::max<std::int64_t>(number(step).value_or(1), INT64_MIN + 1);
  if (by == 0) fault("slice step cannot be zero");
  const std::int64_t low = by > 0 ? 0 : -1;
  const std::int64_t high = by > 0 ? n : n - 1;
  const auto bound = [&](std::optional<std::int64_t> v, std::int64_t fallback) {
    if (!v) return fallback;
    return std::clamp(*v < 0 ? *v + n : *v, low, high);
  };
  const std::int64_t from = bound(number(start), by > 0 ? low : high);
  const std::int64_t to = bound(number(stop), by > 0 ? high : low);
  if (by > 0) return {from, to, by, from < to ? (to - from - 1) / by + 1 : 0};
  return {from, to, by, from > to ? (from - to - 1) / -by + 1 : 0};
}

Value slice_text(const Text& s, const Value* start, const Value* stop, const Value* step, Budget& budget) {
  budget.scan(s.size());
  const auto n = static_cast<std::int64_t>(character_count(s.bytes));
  const Indices x = indices(n, start, stop, step);
  if (x.count == 0) return Value::string(Text{.markup = s.markup}, budget);
  const bool bytes = static_cast<std::size_t>(n) == s.size();
  const auto at = [&](std::int64_t i) {
    return bytes ? static_cast<std::size_t>(i) : byte_of(s.bytes, static_cast<std::size_t>(i));
  };
  if (x.step == 1) {
    const std::size_t from = at(x.start);
    const std::size_t to =
        bytes ? from + static_cast<std::size_t>(x.count)
              : from + byte_of(std::string_view(s.bytes).substr(from), static_cast<std::size_t>(x.count));
    return Value::string(piece(s, from, to), budget);
  }
  std::vector<std::size_t> starts;  // of each character
  budget.memory(s.size(), sizeof(std::size_t));
  for (std::size_t i = 0; i < s.size(); i += character_at(s.bytes, i).length) starts.push_back(i);
  budget.memory(static_cast<std::size_t>(x.count));
  TextBuilder out(budget);
  for (std::int64_t i = 0; i < x.count; ++i) {
    const auto c = static_cast<std::size_t>(x.start + i * x.step);
    out.put(s, starts[c], c + 1 < starts.size() ? starts[c + 1] : s.size());
  }
  Text t = out.take();
  t.markup = s.markup;
  return Value::string(std::move(t), budget);
}

Value slice_list(const List& l, const Value* start, const Value* stop, const Value* step, Budget& budget) {
  const Indices x = indices(std::ssize(l.items), start, stop, step);
  budget.memory(static_cast<std::size_t>(x.count) * sizeof(Value));
  std::vector<Value> out;
  out.reserve(static_cast<std::size_t>(x.count));
  for (std::int64_t i = 0; i < x.count; ++i) out.push_back(l.items[static_cast<std::size_t>(x.start + i * x.step)]);
  if (l.kind != ListKind::range)
    return Value::list(std::move(out), budget, l.kind == ListKind::list ? ListKind::list : ListKind::tuple);
  List range{std::move(out), ListKind::range};
  const auto [from, to, by] = l.range;
  range.range = {from + x.start * by, from + x.stop * by, by * x.step};
  return Value(std::make_shared<const List>(std::move(range)));
}

}  // namespace

Value attribute_of(const Value& object, std::string_view name, Budget& budget) {
  refuse_undefined(object);
  if (auto v = real_attribute(object, name, budget)) return *std::move(v);
  if (const Dict* d = object.dict())
    if (const Value* v = d->find(name)) return *v;
  return missing(object, name);
}

Value subscript(const Value& object, const Value& key, Budget& budget) {
  refuse_undefined(object);
  if (auto v = item_of(object, key, budget)) return *std::move(v);
  const Text* name = key.str();
  if (name == nullptr) return Value::undefined({Missing::Form::element, repr(key, budget).bytes, object.type_name()});
  if (auto v = real_attribute(object, name->bytes, budget)) return *std::move(v);
  return missing(object, name->bytes);
}

Value slice(const Value& object, const Value* start, const Value* stop, const Value* step, Budget& budget) {
  refuse_undefined(object);
  for (const Value* bound : {start, stop, step})
    if (bound != nullptr && !bound->is_none() && !bound->is_integral())
      fault("slice indices must be integers or None or have an __index__ method");
  if (const List* l = object.list()) return slice_list(*l, start, stop, step, budget);
  if (const Text* s = object.str()) return slice_text(*s, start, stop, step, budget);
  if (object.dict() != nullptr) fault("unhashable type: 'slice'");
  fault("'{}' object is not subscriptable", object.type_name());
}

}  // namespace sluice::text::jinja
