#pragma once
// Values of the template language, with Python's meaning. All are immutable but namespaces, iterators (consumed once,
// as in Python), cyclers and joiners, as in the sandbox that transformers renders in; copies share.
//
// Namespaces and loops are held by the renderer and referred to by pointer: a namespace can hold itself, and a
// counted reference would leak it.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/text.h"

namespace sluice::text::jinja {

class Value;
struct Args;
struct MacroNode;
struct Scope;

/// What was looked for and not found, for the error that its use gives.
struct Missing {
  enum class Form { name, attribute, element, said, unsafe } form = Form::name;
  std::string name;  // with Form::said the whole message
  std::string_view type{};
  [[nodiscard]] std::string message() const;
};

struct Undefined {
  std::shared_ptr<const Missing> missing{};
};
struct None {};

struct BigInt;
struct List;
class Dict;
struct View;
struct Iterator;
struct Namespace;
class LoopState;
struct Cycler;
struct Callable;

using Str = std::shared_ptr<const Text>;
using BigRef = std::shared_ptr<const BigInt>;
using ListRef = std::shared_ptr<const List>;
using DictRef = std::shared_ptr<const Dict>;
using ViewRef = std::shared_ptr<const View>;
using IteratorRef = std::shared_ptr<Iterator>;
using CyclerRef = std::shared_ptr<Cycler>;
using CallableRef = std::shared_ptr<const Callable>;

enum class ListKind : std::uint8_t { list, tuple, range, group };  // group: a tuple with the names grouper and list

class Value {
 public:
  using Rep = std::variant<Undefined, None, bool, std::int64_t, BigRef, double, Str, ListRef, DictRef, ViewRef,
                           IteratorRef, Namespace*, LoopState*, CyclerRef, CallableRef>;
  Value() = default;  // undefined
  template <class T>
    requires(!std::is_same_v<std::decay_t<T>, Value>)
  explicit Value(T&& v) : rep_(std::forward<T>(v)) {}

  [[nodiscard]] static Value undefined(Missing m) {
    return Value(Rep(Undefined{std::make_shared<const Missing>(std::move(m))}));
  }
  [[nodiscard]] static Value undefined(std::string message) {
    return undefined(Missing{Missing::Form::said, std::move(message)});
  }
  [[nodiscard]] static Value string(Text t, Budget& budget);
  [[nodiscard]] static Value string(std::string s, Budget& budget) {
    return string(Text{.bytes = std::move(s)}, budget);
  }
  [[nodiscard]] static Value list(std::vector<Value> items, Budget& budget, ListKind kind = ListKind::list);
  [[nodiscard]] static Value dict(Dict d, Budget& budget);
  /// `depth`: of what the iterator holds.
  [[nodiscard]] static Value iterator(std::string_view type, std::uint32_t depth,
                                      std::function<std::optional<Value>()> pull, Budget& budget);
  [[nodiscard]] static Value boolean(bool b) { return Value(Rep(b)); }
  [[nodiscard]] static Value integer(std::int64_t i) { return Value(Rep(i)); }
  [[nodiscard]] static Value count(std::size_t n) { return integer(static_cast<std::int64_t>(n)); }
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
  [[nodiscard]] const Text* str() const noexcept { return is<Str>() ? std::get<Str>(rep_).get() : nullptr; }
  [[nodiscard]] const List* list() const noexcept { return is<ListRef>() ? std::get<ListRef>(rep_).get() : nullptr; }
  [[nodiscard]] const Dict* dict() const noexcept { return is<DictRef>() ? std::get<DictRef>(rep_).get() : nullptr; }
  [[nodiscard]] bool is_tuple() const noexcept;
  [[nodiscard]] bool is_undefined() const noexcept { return is<Undefined>(); }
  [[nodiscard]] bool is_none() const noexcept { return is<None>(); }
  [[nodiscard]] bool is_markup() const noexcept { return str() != nullptr && str()->markup; }
  /// bool or int, of any size.
  [[nodiscard]] bool is_integral() const noexcept { return is<bool>() || is<std::int64_t>() || is<BigRef>(); }
  /// bool, int or float: what Python's numbers.Number holds.
  [[nodiscard]] bool is_number() const noexcept { return is_integral() || is<double>(); }
  /// An int of 64 bits, or a bool as 0 or 1.
  [[nodiscard]] std::optional<std::int64_t> as_int() const noexcept;
  /// Of a number; infinite beyond what a double holds.
  [[nodiscard]] std::optional<double> as_double() const;
  /// Levels of containers below and including this one; bounded, so that recursion over values is.
  [[nodiscard]] std::uint32_t depth() const noexcept;
  /// Python's name of its type, for messages.
  [[nodiscard]] std::string_view type_name() const noexcept;
  [[nodiscard]] const Rep& rep() const noexcept { return rep_; }

 private:
  explicit Value(Rep rep) : rep_(std::move(rep)) {}
  Rep rep_;
};

/// A sequence; of a range its items are made when it is.
struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::list;
  std::uint32_t depth = 1;
  std::array<std::int64_t, 3> range{};  // of a range: start, stop, step
};

/// d.keys(), d.values() or d.items().
struct View {
  DictRef dict;
  enum class Kind { keys, values, items } kind = Kind::keys;
};

/// A generator or another iterator of Python's: what it gave is gone.
struct Iterator {
  std::function<std::optional<Value>()> pull;
  std::string_view type;
  std::uint32_t depth = 1;
};

struct Namespace;

/// The cycler() and joiner() of Jinja; both remember what they gave.
struct Cycler {
  std::vector<Value> items;
  std::size_t at = 0;
  std::uint32_t depth = 1;
};
struct Joiner {
  Value separator;
  bool used = false;
};

enum class Global { range, dict, namespace_, cycler, joiner, raise_exception, strftime_now };

using Method = Value (*)(const Value& self, const Args& args, Budget& budget);

/// Something that can be called: a global function, a method bound to its object, a macro with the names around it, or
/// a joiner. A macro's scope is the renderer's and lives as long as it.
struct Callable {
  struct Bound {
    Value self;
    std::string_view name;
    Method method;  // null: the renderer knows (methods of loops and cyclers)
  };
  struct Macro {
    const MacroNode* node;
    Scope* scope;
  };
  std::variant<Global, Bound, Macro, std::shared_ptr<Joiner>> target;
};

/// Refuses, as every use of an undefined value but printing and testing it does.
[[noreturn]] void fault_undefined(const Undefined& u);
inline void refuse_undefined(const Value& v) {
  if (const auto* u = v.get<Undefined>()) fault_undefined(*u);
}

[[nodiscard]] bool truthy(const Value& v);
/// str(); of a str its text with its origin, no longer Markup.
[[nodiscard]] Text to_text(const Value& v, Budget& budget);
/// markupsafe's soft_str: to_text that leaves Markup what it is.
[[nodiscard]] Text soft_text(const Value& v, Budget& budget);
[[nodiscard]] Text repr(const Value& v, Budget& budget);
/// len()
[[nodiscard]] std::int64_t length(const Value& v, Budget& budget);

}  // namespace sluice::text::jinja
