#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

constexpr std::size_t kIndexedFrom = 9;  // below it a walk over the keys beats a hash

std::string marked(const std::string& s, const FindTyped& find) { return find ? mark_typed(s, find) : s; }

template <class Json>
Value convert(const Json& j, Budget& budget, const FindTyped& find, std::uint32_t depth) {
  if (depth > budget.max_depth()) fault("the request nests deeper than {} levels", budget.max_depth());
  switch (j.type()) {
    case Json::value_t::boolean:
      return Value::boolean(j.template get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(j.template get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      const auto u = j.template get<std::uint64_t>();
      if (u > static_cast<std::uint64_t>(INT64_MAX)) return Value::real(static_cast<double>(u));
      return Value::integer(static_cast<std::int64_t>(u));
    }
    case Json::value_t::number_float:
      return Value::real(j.template get<double>());
    case Json::value_t::string:
      return Value::string(marked(j.template get_ref<const std::string&>(), find), budget);
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(j.size());
      for (const auto& e : j) items.push_back(convert(e, budget, find, depth + 1));
      return Value::list(std::move(items), budget);
    }
    case Json::value_t::object: {
      Dict d;
      for (const auto& [k, v] : j.items()) d.set(marked(k, find), convert(v, budget, find, depth + 1));
      return make_dict(std::move(d), budget);
    }
    default:
      return Value::none();
  }
}

bool lists_equal(const List& a, const List& b, Budget& budget) {
  if (a.items.size() != b.items.size() || a.tuple != b.tuple) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (!equals(a.items[i], b.items[i], budget)) return false;
  return true;
}

bool dicts_equal(const Dict& a, const Dict& b, Budget& budget) {
  if (a.items().size() != b.items().size()) return false;
  return std::ranges::all_of(a.items(), [&](const auto& kv) {
    const Value* other = b.find(kv.first);
    return other != nullptr && equals(kv.second, *other, budget);
  });
}

}  // namespace

Value Value::undefined(std::string_view name) {
  return Value(Rep(Undefined{std::make_shared<const std::string>(name)}));
}

Value Value::string(std::string s, Budget& budget) {
  budget.memory(s.size() + 64);
  return Value(Rep(std::make_shared<const std::string>(std::move(s))));
}

Value Value::list(std::vector<Value> items, Budget& budget, bool tuple) {
  budget.memory(items.size() * sizeof(Value) + 64);
  List out{std::move(items), tuple};
  for (const Value& v : out.items) out.depth = std::max(out.depth, v.depth() + 1);
  if (out.depth > budget.max_depth()) fault("a value nests deeper than {} levels", budget.max_depth());
  return Value(Rep(std::make_shared<const List>(std::move(out))));
}

Value make_dict(Dict d, Budget& budget) {
  std::size_t bytes = 64;
  for (const auto& [k, v] : d.items()) bytes += k.size() + 2 * sizeof(std::pair<std::string, Value>);
  budget.memory(bytes);
  if (d.depth() > budget.max_depth()) fault("a value nests deeper than {} levels", budget.max_depth());
  return Value(std::make_shared<const Dict>(std::move(d)));
}

const Value* Dict::find(std::string_view key) const {
  if (items_.size() < kIndexedFrom) {
    for (const auto& [k, v] : items_)
      if (k == key) return &v;
    return nullptr;
  }
  const auto it = index_.find(std::string(key));
  return it == index_.end() ? nullptr : &items_[it->second].second;
}

void Dict::set(std::string key, Value v) {
  depth_ = std::max(depth_, v.depth() + 1);
  if (const Value* old = find(key)) {
    items_[static_cast<std::size_t>(std::ranges::find_if(items_, [old](const auto& kv) { return &kv.second == old; }) -
                                    items_.begin())]
        .second = std::move(v);
    return;
  }
  items_.emplace_back(std::move(key), std::move(v));
  if (items_.size() == kIndexedFrom) {
    for (std::size_t i = 0; i < items_.size(); ++i) index_.emplace(items_[i].first, i);
  } else if (items_.size() > kIndexedFrom) {
    index_.emplace(items_.back().first, items_.size() - 1);
  }
}

std::optional<std::int64_t> Value::as_int() const noexcept {
  if (const auto* i = get<std::int64_t>()) return *i;
  if (const auto* b = get<bool>()) return *b ? 1 : 0;
  return std::nullopt;
}

std::optional<double> Value::as_double() const noexcept {
  if (const auto* d = get<double>()) return *d;
  if (const auto i = as_int()) return static_cast<double>(*i);
  return std::nullopt;
}

std::uint32_t Value::depth() const noexcept {
  if (const List* l = list()) return l->depth;
  if (const Dict* d = dict()) return d->depth();
  if (const auto* c = get<CallableRef>())
    if (const auto* bound = std::get_if<std::pair<Value, std::string>>(&(*c)->target)) return bound->first.depth() + 1;
  return 0;
}

std::string_view Value::type_name() const noexcept {
  struct Names {
    std::string_view operator()(const Undefined&) const { return "Undefined"; }
    std::string_view operator()(const None&) const { return "NoneType"; }
    std::string_view operator()(bool) const { return "bool"; }
    std::string_view operator()(std::int64_t) const { return "int"; }
    std::string_view operator()(double) const { return "float"; }
    std::string_view operator()(const Str&) const { return "str"; }
    std::string_view operator()(const ListRef& l) const { return l->tuple ? "tuple" : "list"; }
    std::string_view operator()(const DictRef&) const { return "dict"; }
    std::string_view operator()(Namespace*) const { return "Namespace"; }
    std::string_view operator()(LoopState*) const { return "LoopContext"; }
    std::string_view operator()(const CallableRef&) const { return "function"; }
  };
  return std::visit(Names{}, rep_);
}

bool truthy(const Value& v) {
  if (v.is_undefined() || v.is_none()) return false;
  if (const auto* b = v.get<bool>()) return *b;
  if (const auto* i = v.get<std::int64_t>()) return *i != 0;
  if (const auto* d = v.get<double>()) return *d != 0;
  if (const auto* s = v.str()) return !s->empty();
  if (const List* l = v.list()) return !l->items.empty();
  if (const Dict* d = v.dict()) return !d->items().empty();
  return true;
}

bool equals(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  if (a.is_number() && b.is_number()) {
    if (a.as_int() && b.as_int()) return *a.as_int() == *b.as_int();
    return *a.as_double() == *b.as_double();
  }
  if (a.rep().index() != b.rep().index()) return false;
  if (const auto* s = a.str()) {
    budget.scan(std::min(s->size(), b.str()->size()));
    return *s == *b.str();
  }
  if (a.list() != nullptr) return lists_equal(*a.list(), *b.list(), budget);
  if (a.dict() != nullptr) return dicts_equal(*a.dict(), *b.dict(), budget);
  if (const auto* n = a.get<Namespace*>()) return *n == *b.get<Namespace*>();
  if (const auto* l = a.get<LoopState*>()) return *l == *b.get<LoopState*>();
  if (const auto* c = a.get<CallableRef>()) return *c == *b.get<CallableRef>();
  return true;  // both undefined or both none
}

bool less(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  if (a.is_number() && b.is_number()) {
    if (a.as_int() && b.as_int()) return *a.as_int() < *b.as_int();
    return *a.as_double() < *b.as_double();
  }
  if (a.str() != nullptr && b.str() != nullptr) {  // bytes of UTF-8 sort as code points do
    budget.scan(std::min(a.str()->size(), b.str()->size()));
    return *a.str() < *b.str();
  }
  if (a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
    const auto& x = a.list()->items;
    const auto& y = b.list()->items;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i)
      if (!equals(x[i], y[i], budget)) return less(x[i], y[i], budget);
    return x.size() < y.size();
  }
  fault("cannot order {} and {}", a.type_name(), b.type_name());
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const auto* s = container.str()) {
    if (item.str() == nullptr) fault("'in <string>' requires string as left operand, not {}", item.type_name());
    budget.search(s->size(), item.str()->size());
    return s->find(*item.str()) != std::string::npos;
  }
  if (const Dict* d = container.dict()) return item.str() != nullptr && d->find(*item.str()) != nullptr;
  if (container.is_undefined()) return false;
  if (const List* l = container.list())
    return std::ranges::any_of(l->items, [&](const Value& v) { return equals(v, item, budget); });
  fault("argument of type '{}' is not iterable", container.type_name());
}

std::vector<Value> iterate(const Value& v, Budget& budget) {
  if (v.is_undefined()) return {};
  if (const List* l = v.list()) {
    budget.memory(l->items.size() * sizeof(Value));
    return l->items;
  }
  std::vector<Value> out;
  if (const Dict* d = v.dict()) {
    for (const auto& [k, e] : d->items()) out.push_back(Value::string(k, budget));
    return out;
  }
  if (const auto* s = v.str()) {
    for (const std::string_view c : characters(*s, budget)) out.push_back(Value::string(std::string(c), budget));
    return out;
  }
  fault("'{}' object is not iterable", v.type_name());
}

std::int64_t length(const Value& v, Budget& budget) {
  if (v.is_undefined()) return 0;
  if (const List* l = v.list()) return std::ssize(l->items);
  if (const Dict* d = v.dict()) return std::ssize(d->items());
  if (const auto* s = v.str()) {
    budget.scan(s->size());
    return static_cast<std::int64_t>(character_count(*s));
  }
  fault("object of type '{}' has no len()", v.type_name());
}

Value from_json(const nlohmann::json& j, Budget& budget, const FindTyped& find) { return convert(j, budget, find, 1); }
Value from_json(const nlohmann::ordered_json& j, Budget& budget, const FindTyped& find) {
  return convert(j, budget, find, 1);
}

std::string to_str(const Value& v, Budget& budget) {
  if (v.is_undefined()) return {};
  if (const auto* s = v.str()) {
    budget.scan(s->size());
    return *s;
  }
  return repr(v, budget);
}

namespace {

class Repr {
 public:
  explicit Repr(Budget& budget) : budget_(budget) {}

  void add(const Value& v) {
    const std::size_t before = out_.size();
    if (v.is_undefined())
      out_ += "Undefined";
    else if (v.is_none())
      out_ += "None";
    else if (const auto* b = v.get<bool>())
      out_ += *b ? "True" : "False";
    else if (const auto* i = v.get<std::int64_t>())
      out_ += std::to_string(*i);
    else if (const auto* d = v.get<double>())
      out_ += float_repr(*d);
    else if (const auto* s = v.str())
      out_ += string_repr(*s);
    else if (const List* l = v.list())
      add_list(*l);
    else if (const Dict* m = v.dict())
      add_dict(*m);
    else
      out_ += fmt::format("<{}>", v.type_name());
    budget_.memory(out_.size() - before);
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void add_list(const List& l) {
    out_ += l.tuple ? '(' : '[';
    for (std::size_t i = 0; i < l.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      add(l.items[i]);
    }
    if (l.tuple && l.items.size() == 1) out_ += ',';
    out_ += l.tuple ? ')' : ']';
  }

  void add_dict(const Dict& d) {
    out_ += '{';
    bool first = true;
    for (const auto& [k, v] : d.items()) {
      if (!first) out_ += ", ";
      first = false;
      out_ += string_repr(k);
      out_ += ": ";
      add(v);
    }
    out_ += '}';
  }

  Budget& budget_;
  std::string out_;
};

}  // namespace

std::string repr(const Value& v, Budget& budget) {
  Repr r(budget);
  r.add(v);
  return r.take();
}

}  // namespace sluice::text::jinja
