#include "text/jinja/methods.h"

#include <algorithm>
#include <array>

#include "text/jinja/compare.h"
#include "text/jinja/dict.h"
#include "text/jinja/iterate.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

Value view(const Value& d, const Args& args, Budget& b, View::Kind kind, std::string_view name) {
  const Params p(name, args, {});
  b.memory(sizeof(View));
  return Value(std::make_shared<const View>(View{*d.get<DictRef>(), kind}));
}

const Methods& dict_methods() {
  static const Methods kMethods = {
      {"get",
       [](const Value& d, const Args& a, Budget& b) {
         const Params p("get", a, {"key", "default"});
         if (const Value* v = d.dict()->find(p.need(0), b)) return *v;
         return p.get(1) != nullptr ? *p.get(1) : Value::none();
       }},
      {"items", [](auto& d, auto& a, auto& b) { return view(d, a, b, View::Kind::items, "items"); }},
      {"keys", [](auto& d, auto& a, auto& b) { return view(d, a, b, View::Kind::keys, "keys"); }},
      {"values", [](auto& d, auto& a, auto& b) { return view(d, a, b, View::Kind::values, "values"); }},
      {"copy", [](const Value& d, const Args&, Budget&) { return d; }},
      {"fromkeys", dict_from_keys},
  };
  return kMethods;
}

Value index_of(const Value& l, const Args& args, Budget& b) {
  const Params p("index", args, {"value", "start", "stop"});
  const std::int64_t n = std::ssize(l.list()->items);
  const auto bound = [&](std::size_t i, std::int64_t fallback) {
    const std::int64_t at = p.integer(i, fallback);
    return std::clamp<std::int64_t>(at < 0 ? at + n : at, 0, n);
  };
  for (std::int64_t i = bound(1, 0); i < bound(2, n); ++i)
    if (equals(l.list()->items[static_cast<std::size_t>(i)], p.need(0), b)) return Value::integer(i);
  fault("{} is not in {}", repr(p.need(0), b).bytes, l.type_name());
}

const Methods& tuple_methods() {
  static const Methods kMethods = {
      {"index", index_of},
      {"count",
       [](const Value& l, const Args& a, Budget& b) {
         const Params p("count", a, {"value"});
         return Value::integer(
             std::ranges::count_if(l.list()->items, [&](const Value& v) { return equals(v, p.need(0), b); }));
       }},
  };
  return kMethods;
}

const Methods& list_methods() {
  static const Methods kMethods = [] {
    Methods m = tuple_methods();
    m.emplace("copy", [](const Value& l, const Args&, Budget&) { return l; });
    return m;
  }();
  return kMethods;
}

const Methods& number_methods() {
  static const Methods kMethods = {
      {"bit_length",
       [](const Value& v, const Args&, Budget&) {
         const Integer n = to_integer(v);
         return n == 0 ? Value::integer(0) : Value::count(msb(Integer(abs(n))) + 1);
       }},
      {"is_integer",
       [](const Value& v, const Args&, Budget&) {
         const double d = *v.as_double();
         return Value::boolean(d == std::floor(d) && std::isfinite(d));
       }},
  };
  return kMethods;
}

}  // namespace

Value dict_from_keys(const Value&, const Args& args, Budget& budget) {
  const Params p("fromkeys", args, {"iterable", "value"});
  Dict out;
  Cursor keys(p.need(0), budget);
  while (auto k = keys.next()) out.set(*std::move(k), p.get(1) != nullptr ? *p.get(1) : Value::none(), budget);
  return Value::dict(std::move(out), budget);
}

const Methods& container_methods(const Value& self) {
  static const Methods kNone;
  if (self.dict() != nullptr) return dict_methods();
  if (self.list() != nullptr) return self.list()->kind == ListKind::list ? list_methods() : tuple_methods();
  return self.is_number() ? number_methods() : kNone;
}

FoundMethod find_method(const Value& self, std::string_view name) {
  const auto in = [&](const Methods& methods) -> FoundMethod {
    const auto it = methods.find(name);
    return it == methods.end() ? FoundMethod{} : FoundMethod{it->first, it->second};
  };
  if (self.str() == nullptr) return in(container_methods(self));
  if (const FoundMethod m = in(str_making()); m.method != nullptr) return m;
  return in(str_looking());
}

bool forbidden_method(const Value& self, std::string_view name) {
  if (name.starts_with("__")) return true;
  constexpr std::array<std::string_view, 8> kList = {"append", "clear", "pop",    "reverse",
                                                     "insert", "sort",  "extend", "remove"};
  constexpr std::array<std::string_view, 5> kDict = {"clear", "pop", "popitem", "setdefault", "update"};
  if (self.dict() != nullptr) return std::ranges::find(kDict, name) != kDict.end();
  return self.list() != nullptr && self.list()->kind == ListKind::list && std::ranges::find(kList, name) != kList.end();
}

bool unsupported_method(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"encode",       "maketrans", "translate",
                                                      "isidentifier", "striptags", "unescape"};
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace sluice::text::jinja
