#pragma once
// Values of the template language, with Python's meaning: truth, equality, order, str(), repr() and json.dumps().
// All are immutable but the namespace, as in the sandbox that transformers renders in; copies share.
//
// Namespaces and loops are held by the renderer and referred to by pointer: a namespace can hold itself, and a
// counted reference would leak it.
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/budget.h"
#include "text/jinja/typed_specials.h"

namespace sluice::text::jinja {

class Value;
struct MacroNode;

struct Undefined {
  std::shared_ptr<const std::string> name;  // what was looked for, for the error message; may be null
};
struct None {};

struct List;
class Dict;
struct Namespace;
struct LoopState;
struct Callable;

using Str = std::shared_ptr<const std::string>;
using ListRef = std::shared_ptr<const List>;
using DictRef = std::shared_ptr<const Dict>;
using CallableRef = std::shared_ptr<const Callable>;

class Value {
 public:
  using Rep = std::variant<Undefined, None, bool, std::int64_t, double, Str, ListRef, DictRef, Namespace*, LoopState*,
                           CallableRef>;
  Value() = default;  // undefined
  template <class T>
    requires(!std::is_same_v<std::decay_t<T>, Value>)
  explicit Value(T&& v) : rep_(std::forward<T>(v)) {}

  [[nodiscard]] static Value undefined(std::string_view name);
  [[nodiscard]] static Value string(std::string s, Budget& budget);
  [[nodiscard]] static Value list(std::vector<Value> items, Budget& budget, bool tuple = false);
  [[nodiscard]] static Value boolean(bool b) { return Value(Rep(b)); }
  [[nodiscard]] static Value integer(std::int64_t i) { return Value(Rep(i)); }
  [[nodiscard]] static Value real(double d) { return Value(Rep(d)); }
  [[nodiscard]] static Value none() { return Value(Rep(None{})); }

  template <class T>
  [[nodiscard]] bool is() const noexcept {
    return std::holds_alternative<T>(rep_);
  }
  template <class T>
  [[nodiscard]] const T* get() const noexcept {
    return std::get_if<T>(&rep_);
  }
  [[nodiscard]] const std::string* str() const noexcept { return is<Str>() ? std::get<Str>(rep_).get() : nullptr; }
  [[nodiscard]] const List* list() const noexcept { return is<ListRef>() ? std::get<ListRef>(rep_).get() : nullptr; }
  [[nodiscard]] const Dict* dict() const noexcept { return is<DictRef>() ? std::get<DictRef>(rep_).get() : nullptr; }
  [[nodiscard]] bool is_undefined() const noexcept { return is<Undefined>(); }
  [[nodiscard]] bool is_none() const noexcept { return is<None>(); }
  /// bool, int or float: what Python's numbers.Number holds.
  [[nodiscard]] bool is_number() const noexcept { return is<bool>() || is<std::int64_t>() || is<double>(); }
  /// An int, or a bool as 0 or 1.
  [[nodiscard]] std::optional<std::int64_t> as_int() const noexcept;
  [[nodiscard]] std::optional<double> as_double() const noexcept;
  /// Levels of containers below and including this one; bounded, so that recursion over values is.
  [[nodiscard]] std::uint32_t depth() const noexcept;
  /// Python's name of its type, for messages.
  [[nodiscard]] std::string_view type_name() const noexcept;
  [[nodiscard]] const Rep& rep() const noexcept { return rep_; }

 private:
  explicit Value(Rep rep) : rep_(std::move(rep)) {}
  Rep rep_;
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  std::uint32_t depth = 1;
};

/// Keys in order of insertion.
class Dict {
 public:
  [[nodiscard]] const Value* find(std::string_view key) const;
  void set(std::string key, Value v);
  [[nodiscard]] const std::vector<std::pair<std::string, Value>>& items() const noexcept { return items_; }
  [[nodiscard]] std::uint32_t depth() const noexcept { return depth_; }

 private:
  std::vector<std::pair<std::string, Value>> items_;
  std::unordered_map<std::string, std::size_t> index_;  // only past a few keys
  std::uint32_t depth_ = 1;
};

[[nodiscard]] Value make_dict(Dict d, Budget& budget);

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

/// The `loop` of a for statement.
struct LoopState {
  std::vector<Value> items;
  std::size_t index = 0;
  std::vector<Value> changed;  // what loop.changed() saw last
};

enum class Global { range, dict, namespace_, raise_exception, strftime_now };

/// Something that can be called: a global function, a method bound to its object, or a macro.
struct Callable {
  std::variant<Global, const MacroNode*, std::pair<Value, std::string>> target;
};

[[nodiscard]] bool truthy(const Value& v);
[[nodiscard]] bool equals(const Value& a, const Value& b, Budget& budget);
/// a < b; a fault where Python has a TypeError.
[[nodiscard]] bool less(const Value& a, const Value& b, Budget& budget);
[[nodiscard]] bool contains(const Value& container, const Value& item, Budget& budget);
[[nodiscard]] std::string to_str(const Value& v, Budget& budget);
[[nodiscard]] std::string repr(const Value& v, Budget& budget);
/// What a for statement goes over.
[[nodiscard]] std::vector<Value> iterate(const Value& v, Budget& budget);
/// len()
[[nodiscard]] std::int64_t length(const Value& v, Budget& budget);

/// With `find` set, the special tokens spelled in strings and keys get marks.
[[nodiscard]] Value from_json(const nlohmann::json& j, Budget& budget, const FindTyped& find = {});
[[nodiscard]] Value from_json(const nlohmann::ordered_json& j, Budget& budget, const FindTyped& find = {});

}  // namespace sluice::text::jinja
