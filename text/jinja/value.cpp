#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/characters.h"
#include "text/jinja/dict.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

void check_nesting(std::uint32_t depth, const Budget& budget) {
  if (depth > budget.limits().max_nesting) fault("a value nests deeper than {} levels", budget.limits().max_nesting);
}

/// "dict object", as errors name what an attribute was looked for in.
std::string object_name(std::string_view type) {
  if (type == "NoneType") return "None";
  if (type == "Markup") return "markupsafe.Markup object";
  if (type == "Namespace") return "jinja2.utils.Namespace object";
  if (type == "LoopContext" || type == "Macro" || type == "Undefined")
    return fmt::format("jinja2.runtime.{} object", type);
  return fmt::format("{} object", type);
}

}  // namespace

std::string Missing::message() const {
  switch (form) {
    case Form::name:
      return fmt::format("'{}' is undefined", name);
    case Form::attribute:
      return fmt::format("'{}' has no attribute '{}'", object_name(type), name);
    case Form::element:
      return fmt::format("{} has no element {}", object_name(type), name);
    case Form::unsafe:
      return fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, type);
    case Form::said:
      break;
  }
  return name;
}

void fault_undefined(const Undefined& u) { fault("{}", u.missing ? u.missing->message() : "a value is undefined"); }

Value Value::string(Text t, Budget& budget) {
  budget.memory(t.size() + 64);
  return Value(Rep(std::make_shared<const Text>(std::move(t))));
}

Value Value::list(std::vector<Value> items, Budget& budget, ListKind kind) {
  budget.memory(items.size() * sizeof(Value) + 64);
  List out{std::move(items), kind};
  for (const Value& v : out.items) out.depth = std::max(out.depth, v.depth() + 1);
  check_nesting(out.depth, budget);
  return Value(Rep(std::make_shared<const List>(std::move(out))));
}

Value Value::dict(Dict d, Budget& budget) {
  budget.memory(64 + d.size() * (sizeof(Dict::Entry) + (d.size() > 8 ? 24 : 0)));
  check_nesting(d.depth(), budget);
  return Value(Rep(std::make_shared<const Dict>(std::move(d))));
}

Value Value::iterator(std::string_view type, std::uint32_t depth, std::function<std::optional<Value>()> pull,
                      Budget& budget) {
  budget.memory(128);
  check_nesting(depth + 1, budget);
  return Value(Rep(std::make_shared<Iterator>(Iterator{std::move(pull), type, depth + 1})));
}

bool Value::is_tuple() const noexcept {
  return list() != nullptr && (list()->kind == ListKind::tuple || list()->kind == ListKind::group);
}

std::optional<std::int64_t> Value::as_int() const noexcept {
  if (const auto* i = get<std::int64_t>()) return *i;
  if (const auto* b = get<bool>()) return *b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::as_double() const {
  if (const auto* d = get<double>()) return *d;
  if (const auto* big = get<BigRef>()) return to_double((*big)->n);
  if (const auto i = as_int()) return static_cast<double>(*i);
  return std::nullopt;
}

std::uint32_t Value::depth() const noexcept {
  return std::visit(Overload{[](const ListRef& l) { return l->depth; }, [](const DictRef& d) { return d->depth(); },
                             [](const ViewRef& v) { return v->dict->depth() + 1; },
                             [](const IteratorRef& i) { return i->depth; }, [](const CyclerRef& c) { return c->depth; },
                             [](const CallableRef& c) -> std::uint32_t {
                               if (const auto* bound = std::get_if<Callable::Bound>(&c->target))
                                 return bound->self.depth() + 1;
                               if (const auto* joiner = std::get_if<std::shared_ptr<Joiner>>(&c->target))
                                 return (*joiner)->separator.depth() + 1;
                               return 0;
                             },
                             [](const auto&) -> std::uint32_t { return 0; }},
                    rep_);
}

std::string_view Value::type_name() const noexcept {
  using V = std::string_view;
  return std::visit(
      Overload{[](const Undefined&) -> V { return "Undefined"; }, [](const None&) -> V { return "NoneType"; },
               [](bool) -> V { return "bool"; }, [](std::int64_t) -> V { return "int"; },
               [](const BigRef&) -> V { return "int"; }, [](double) -> V { return "float"; },
               [](const Str& s) -> V { return s->markup ? "Markup" : "str"; },
               [](const ListRef& l) -> V {
                 constexpr std::array<V, 4> kNames = {"list", "tuple", "range", "_GroupTuple"};
                 return kNames[static_cast<std::size_t>(l->kind)];
               },
               [](const DictRef&) -> V { return "dict"; },
               [](const ViewRef& v) -> V {
                 constexpr std::array<V, 3> kNames = {"dict_keys", "dict_values", "dict_items"};
                 return kNames[static_cast<std::size_t>(v->kind)];
               },
               [](const IteratorRef& i) -> V { return i->type; }, [](Namespace*) -> V { return "Namespace"; },
               [](LoopState*) -> V { return "LoopContext"; }, [](const CyclerRef&) -> V { return "Cycler"; },
               [](const CallableRef& c) -> V {
                 if (std::holds_alternative<Callable::Macro>(c->target)) return "Macro";
                 if (std::holds_alternative<Callable::Bound>(c->target)) return "builtin_function_or_method";
                 if (std::holds_alternative<std::shared_ptr<Joiner>>(c->target)) return "Joiner";
                 return "function";
               }},
      rep_);
}

bool truthy(const Value& v) {
  return std::visit(
      Overload{[](const Undefined&) { return false; }, [](const None&) { return false; }, [](bool b) { return b; },
               [](std::int64_t i) { return i != 0; }, [](double d) { return d != 0; },
               [](const Str& s) { return !s->empty(); }, [](const ListRef& l) { return !l->items.empty(); },
               [](const DictRef& d) { return d->size() != 0; }, [](const ViewRef& w) { return w->dict->size() != 0; },
               [](const auto&) { return true; }},
      v.rep());
}

std::int64_t length(const Value& v, Budget& budget) {
  if (v.is_undefined()) return 0;
  if (const List* l = v.list()) return std::ssize(l->items);
  if (const Dict* d = v.dict()) return static_cast<std::int64_t>(d->size());
  if (const auto* view = v.get<ViewRef>()) return static_cast<std::int64_t>((*view)->dict->size());
  if (const Text* s = v.str()) {
    budget.scan(s->size());
    return static_cast<std::int64_t>(character_count(s->bytes));
  }
  fault("object of type '{}' has no len()", v.type_name());
}

}  // namespace sluice::text::jinja
