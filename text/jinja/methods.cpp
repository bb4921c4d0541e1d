#include "text/jinja/methods.h"

#include <algorithm>
#include <functional>
#include <map>

#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

using Method = Value (*)(const Value& self, const Args& args, Budget& budget);
using Methods = std::map<std::string_view, Method>;

// --- str --------------------------------------------------------------------------------------------------------

Value strip_side(const Value& self, const Args& args, Budget& b, Side side, std::string_view name) {
  const Params p(name, args, {"chars"});
  const std::string& s = *self.str();
  const std::string* chars = p.text(0);
  b.search(s.size(), chars != nullptr ? chars->size() : 0);
  return Value::string(
      std::string(strip(s, side, chars != nullptr ? std::optional<std::string_view>(*chars) : std::nullopt)), b);
}

using Splitter = std::vector<std::string_view> (*)(std::string_view, std::optional<std::string_view>, std::int64_t);

Value split_with(const Value& self, const Args& args, Budget& b, Splitter splitter, std::string_view name) {
  const Params p(name, args, {"sep", "maxsplit"});
  const std::string& s = *self.str();
  const std::string* sep = p.text(0);
  if (sep != nullptr && sep->empty()) fault("empty separator");
  b.search(s.size(), sep != nullptr ? sep->size() : 0);
  std::vector<Value> out;
  for (const auto piece :
       splitter(s, sep != nullptr ? std::optional<std::string_view>(*sep) : std::nullopt, p.integer(1, -1)))
    out.push_back(Value::string(std::string(piece), b));
  return Value::list(std::move(out), b);
}

/// startswith and endswith take a string or a tuple of them.
bool any_affix(const Params& p, const std::function<bool(std::string_view)>& matches) {
  const Value& affix = p.need(0);
  if (affix.str() != nullptr) return matches(*affix.str());
  if (affix.list() == nullptr || !affix.list()->tuple)
    fault("expected a string or a tuple of strings, not {}", affix.type_name());
  return std::ranges::any_of(affix.list()->items, [&](const Value& v) {
    if (v.str() == nullptr) fault("expected a tuple of strings, not of {}", v.type_name());
    return matches(*v.str());
  });
}

template <std::string (*F)(std::string_view)>
Value mapped(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {});
  b.memory(self.str()->size());
  return Value::string(F(*self.str()), b);
}

Value find_in(const Value& self, const Args& args, Budget& b, bool backwards) {
  const Params p(backwards ? "rfind" : "find", args, {"sub"});
  const std::string& s = *self.str();
  b.search(s.size(), p.need_text(0).size());
  const std::size_t at = backwards ? s.rfind(p.need_text(0)) : s.find(p.need_text(0));
  if (at == std::string::npos) return Value::integer(-1);
  return Value::integer(static_cast<std::int64_t>(character_count(std::string_view(s).substr(0, at))));
}

template <bool (*F)(char)>
Value every_byte(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {});
  b.scan(self.str()->size());
  return Value::boolean(!self.str()->empty() && std::ranges::all_of(*self.str(), F));
}

bool ascii_digit(char c) { return c >= '0' && c <= '9'; }
bool ascii_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool ascii_alnum(char c) { return ascii_digit(c) || ascii_alpha(c); }
bool ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

Value join_strings(const Value& self, const Args& args, Budget& b) {
  const Params p("join", args, {"iterable"});
  std::string out;
  bool first = true;
  for (const Value& v : iterate(p.need(0), b)) {
    if (v.str() == nullptr) fault("join() expects strings, got {}", v.type_name());
    const std::string_view separator = first ? std::string_view() : std::string_view(*self.str());
    first = false;
    b.memory(separator.size() + v.str()->size());
    (out += separator) += *v.str();
  }
  return Value::string(std::move(out), b);
}

const Methods& str_methods() {
  static const Methods kMethods = {
      {"strip", [](auto& s, auto& a, auto& b) { return strip_side(s, a, b, Side::both, "strip"); }},
      {"lstrip", [](auto& s, auto& a, auto& b) { return strip_side(s, a, b, Side::left, "lstrip"); }},
      {"rstrip", [](auto& s, auto& a, auto& b) { return strip_side(s, a, b, Side::right, "rstrip"); }},
      {"split", [](auto& s, auto& a, auto& b) { return split_with(s, a, b, split, "split"); }},
      {"rsplit", [](auto& s, auto& a, auto& b) { return split_with(s, a, b, rsplit, "rsplit"); }},
      {"splitlines",
       [](const Value& s, const Args& a, Budget& b) {
         const Params p("splitlines", a, {});
         b.scan(s.str()->size());
         std::vector<Value> out;
         for (const auto line : splitlines(*s.str())) out.push_back(Value::string(std::string(line), b));
         return Value::list(std::move(out), b);
       }},
      {"startswith",
       [](const Value& s, const Args& a, Budget& b) {
         b.scan(s.str()->size());
         return Value::boolean(
             any_affix(Params("startswith", a, {"prefix"}), [&](auto x) { return s.str()->starts_with(x); }));
       }},
      {"endswith",
       [](const Value& s, const Args& a, Budget& b) {
         b.scan(s.str()->size());
         return Value::boolean(
             any_affix(Params("endswith", a, {"suffix"}), [&](auto x) { return s.str()->ends_with(x); }));
       }},
      {"removeprefix",
       [](const Value& s, const Args& a, Budget& b) {
         const Params p("removeprefix", a, {"prefix"});
         const std::string& x = p.need_text(0);
         return s.str()->starts_with(x) ? Value::string(s.str()->substr(x.size()), b) : s;
       }},
      {"removesuffix",
       [](const Value& s, const Args& a, Budget& b) {
         const Params p("removesuffix", a, {"suffix"});
         const std::string& x = p.need_text(0);
         return s.str()->ends_with(x) ? Value::string(s.str()->substr(0, s.str()->size() - x.size()), b) : s;
       }},
      {"replace",
       [](const Value& s, const Args& a, Budget& b) {
         const Params p("replace", a, {"old", "new", "count"});
         return Value::string(replace(*s.str(), p.need_text(0), p.need_text(1), p.integer(2, -1), b), b);
       }},
      {"count",
       [](const Value& s, const Args& a, Budget& b) {
         const Params p("count", a, {"sub"});
         const std::string& x = p.need_text(0);
         b.search(s.str()->size(), x.size());
         if (x.empty()) return Value::integer(static_cast<std::int64_t>(character_count(*s.str())) + 1);
         std::int64_t n = 0;
         for (std::size_t at = s.str()->find(x); at != std::string::npos; at = s.str()->find(x, at + x.size())) ++n;
         return Value::integer(n);
       }},
      {"find", [](auto& s, auto& a, auto& b) { return find_in(s, a, b, false); }},
      {"rfind", [](auto& s, auto& a, auto& b) { return find_in(s, a, b, true); }},
      {"upper", mapped<upper>},
      {"lower", mapped<lower>},
      {"title", mapped<title>},
      {"capitalize", mapped<capitalize>},
      {"join", join_strings},
      {"isdigit", every_byte<ascii_digit>},
      {"isalpha", every_byte<ascii_alpha>},
      {"isalnum", every_byte<ascii_alnum>},
      {"isspace", every_byte<ascii_space>},
  };
  return kMethods;
}

// --- dict and list ----------------------------------------------------------------------------------------------

const Methods& dict_methods() {
  static const Methods kMethods = {
      {"get",
       [](const Value& d, const Args& a, Budget&) {
         const Params p("get", a, {"key", "default"});
         const Value* v = p.need(0).str() != nullptr ? d.dict()->find(*p.need(0).str()) : nullptr;
         if (v != nullptr) return *v;
         if (p.get(1) != nullptr) return *p.get(1);
         return Value::none();
       }},
      {"items",
       [](const Value& d, const Args& a, Budget& b) {
         const Params p("items", a, {});
         std::vector<Value> out;
         for (const auto& [k, v] : d.dict()->items()) out.push_back(Value::list({Value::string(k, b), v}, b, true));
         return Value::list(std::move(out), b);
       }},
      {"keys",
       [](const Value& d, const Args& a, Budget& b) {
         const Params p("keys", a, {});
         return Value::list(iterate(d, b), b);
       }},
      {"values",
       [](const Value& d, const Args& a, Budget& b) {
         const Params p("values", a, {});
         std::vector<Value> out;
         for (const auto& [k, v] : d.dict()->items()) out.push_back(v);
         return Value::list(std::move(out), b);
       }},
      {"copy", [](const Value& d, const Args&, Budget&) { return d; }},
  };
  return kMethods;
}

const Methods& list_methods() {
  static const Methods kMethods = {
      {"index",
       [](const Value& l, const Args& a, Budget& b) {
         const Params p("index", a, {"value"});
         for (std::size_t i = 0; i < l.list()->items.size(); ++i)
           if (equals(l.list()->items[i], p.need(0), b)) return Value::integer(static_cast<std::int64_t>(i));
         fault("the value is not in the list");
       }},
      {"count",
       [](const Value& l, const Args& a, Budget& b) {
         const Params p("count", a, {"value"});
         return Value::integer(
             std::ranges::count_if(l.list()->items, [&](const Value& v) { return equals(v, p.need(0), b); }));
       }},
      {"copy", [](const Value& l, const Args&, Budget&) { return l; }},
  };
  return kMethods;
}

const Methods* methods_of(const Value& v) {
  if (v.str() != nullptr) return &str_methods();
  if (v.dict() != nullptr) return &dict_methods();
  if (v.list() != nullptr) return &list_methods();
  return nullptr;
}

// --- indexing ---------------------------------------------------------------------------------------------------

/// slice.indices(): the positions a slice picks from n elements.
struct Indices {
  std::int64_t start, step, count;
};

Indices indices(std::int64_t n, const Value* start, const Value* stop, const Value* step) {
  const auto number = [](const Value* v) -> std::optional<std::int64_t> {
    if (v == nullptr || v->is_none()) return std::nullopt;
    if (!v->as_int()) fault("slice indices must be integers or None, not {}", v->type_name());
    return v->as_int();
  };
  const std::int64_t by = number(step).value_or(1);
  if (by == 0) fault("slice step cannot be zero");
  const std::int64_t low = by > 0 ? 0 : -1;
  const std::int64_t high = by > 0 ? n : n - 1;
  const auto bound = [&](std::optional<std::int64_t> v, std::int64_t fallback) {
    if (!v) return fallback;
    return std::clamp(*v < 0 ? *v + n : *v, low, high);
  };
  const std::int64_t from = bound(number(start), by > 0 ? low : high);
  const std::int64_t to = bound(number(stop), by > 0 ? high : low);
  if (by > 0) return {from, by, from < to ? (to - from - 1) / by + 1 : 0};
  if (by == INT64_MIN) return {from, by, from > to ? 1 : 0};
  return {from, by, from > to ? (from - to - 1) / -by + 1 : 0};
}

}  // namespace

bool has_method(const Value& self, std::string_view name) {
  const Methods* m = methods_of(self);
  return m != nullptr && m->contains(name);
}

Value call_method(const Value& self, std::string_view name, const Args& args, Budget& budget) {
  budget.step();
  return methods_of(self)->at(name)(self, args, budget);
}

std::optional<Value> item_of(const Value& object, const Value& key, Budget& budget) {
  if (const Dict* d = object.dict()) {
    const Value* v = key.str() != nullptr ? d->find(*key.str()) : nullptr;
    return v != nullptr ? std::optional(*v) : std::nullopt;
  }
  auto i = key.as_int();
  if (!i) return std::nullopt;
  if (const List* l = object.list()) {
    if (*i < 0) *i += std::ssize(l->items);
    if (*i < 0 || *i >= std::ssize(l->items)) return std::nullopt;
    return l->items[static_cast<std::size_t>(*i)];
  }
  if (const std::string* s = object.str()) {
    const auto chars = characters(*s, budget);
    if (*i < 0) *i += std::ssize(chars);
    if (*i < 0 || *i >= std::ssize(chars)) return std::nullopt;
    return Value::string(std::string(chars[static_cast<std::size_t>(*i)]), budget);
  }
  return std::nullopt;
}

Value slice(const Value& object, const Value* start, const Value* stop, const Value* step, Budget& budget) {
  if (const List* l = object.list()) {
    const Indices x = indices(std::ssize(l->items), start, stop, step);
    std::vector<Value> out;
    out.reserve(static_cast<std::size_t>(x.count));
    for (std::int64_t i = 0; i < x.count; ++i) out.push_back(l->items[static_cast<std::size_t>(x.start + i * x.step)]);
    return Value::list(std::move(out), budget, l->tuple);
  }
  if (const std::string* s = object.str()) {
    const auto chars = characters(*s, budget);
    const Indices x = indices(std::ssize(chars), start, stop, step);
    std::string out;
    for (std::int64_t i = 0; i < x.count; ++i) out += chars[static_cast<std::size_t>(x.start + i * x.step)];
    return Value::string(std::move(out), budget);
  }
  if (object.is_undefined()) fault("an undefined value cannot be sliced");
  return Value::undefined(fmt::format("slice of {}", object.type_name()));
}

}  // namespace sluice::text::jinja
