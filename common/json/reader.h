#pragma once
// One reader for every JSON document that comes from outside: requests, messages of peers, files.
//
//   JsonReader in(j, {.what = "config.json"});
//   const JsonObject f = in.object();
//   f.need("layers").into(c.layers, {.least = 1, .most = 1024});   // must be there
//   f.want("rope_theta").into(c.theta, {.above = 0});              // keeps its default when absent
//   f.closed();                                                    // a field nobody asked for is refused
//   SLUICE_TRY(in.done());
//
// The first mistake is kept and everything after it is left as it was, so a reader is a list of fields and one check at
// its end; check before a value is used in arithmetic. Nothing is coerced: "5" is no number, 5 no string, 5.0 no whole
// number unless the rules say so. Errors name the field with its path ("messages[3].role"), which is also Error::param.
// Bounds of length and depth are parse_json()'s. Nothing here throws but bad_alloc.
//
// Threading: none; a reader, its objects and values are locals of one function. They point at the JSON, at the reader
// and at the object they came from, none of which they own.
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/result.h"

namespace sluice {

/// How a document is read, and how its errors speak of it.
struct JsonRules {
  std::string what = {};               // opens each error: "register", "config.json"; may be empty
  Errc code = Errc::invalid_argument;  // of each error
  bool null_is_absent = true;          // else null is a value of the wrong type
  bool whole_floats = false;           // 8.0 and 1e3 are whole numbers too, as people write them
  bool non_finite = false;             // a number may be NaN or infinite (CBOR has them); the caller judges that
};

/// What sort of mistake it is: an API may answer each with a code of its own.
enum class JsonMistake : std::uint8_t { missing, type, value, unknown };

/// A field's name: a literal, so that it outlives whoever keeps it.
class FieldName {
 public:
  consteval FieldName(const char* literal) : text_(literal) {}
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// What a number may be: from least to most, or above a bound that it may not reach; finite, if the rules don't differ.
template <class T>
struct NumberRange {
  T least = std::numeric_limits<T>::lowest();
  T most = std::numeric_limits<T>::max();
  std::optional<T> above = {};
};

/// Bytes of a string or items of a list.
struct Length {
  std::size_t least = 0, most = std::numeric_limits<std::size_t>::max();
};

template <class E>
struct Named {
  std::string_view text;
  E value;
};

template <class T>
concept JsonWhole = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept JsonNumber = JsonWhole<T> || std::floating_point<T>;
template <class T>
concept StrongName = requires(T t) {
  typename T::rep;
  { t.value() } -> std::convertible_to<typename T::rep>;
};

class JsonObject;
class JsonReader;

/// Where a value is: a chain up to the root, made text only for an error.
struct JsonPlace {
  const JsonPlace* up = nullptr;  // null at the root
  std::string_view name;          // of a field; of an item its index
  std::size_t index = 0;
  [[nodiscard]] std::string path() const;
};

/// A value that may be absent. Every into() leaves `out` alone, and answers false, when there is nothing to read or it
/// is wrong.
class JsonValue {
 public:
  JsonValue(const JsonValue&) = delete;
  JsonValue& operator=(const JsonValue&) = delete;

  /// There, and no mistake was found so far.
  [[nodiscard]] bool present() const noexcept;
  /// The value itself; only where present().
  [[nodiscard]] const nlohmann::json& raw() const noexcept { return *value_; }
  [[nodiscard]] std::string path() const { return place_.path(); }

  bool into(bool& out) const;
  bool into(std::string& out, Length bytes = {}) const;
  /// Anything: somebody else reads it.
  bool into(nlohmann::json& out) const;
  template <JsonWhole T>
  bool into(T& out, const NumberRange<std::type_identity_t<T>>& r = {}) const {
    const Whole least = r.above ? Whole{*r.above} + 1 : Whole{r.least};
    Whole x = 0;
    if (!whole(x, least, r.most, std::numeric_limits<T>::max())) return false;
    out = static_cast<T>(x);
    return true;
  }
  template <std::floating_point T>
  bool into(T& out, const NumberRange<std::type_identity_t<T>>& r = {}) const {
    double x = 0;
    if (!number(x, {r.least, r.most, r.above})) return false;
    out = static_cast<T>(x);
    return true;
  }
  /// A word of a list; the error lists them all.
  template <class E>
  bool into(E& out, std::span<const Named<std::type_identity_t<E>>> words) const {
    const std::string* said = word();
    if (said == nullptr) return false;
    for (const auto& w : words)
      if (*said == w.text) return out = w.value, true;
    std::string all;
    for (const auto& w : words) all += all.empty() ? std::string(w.text) : fmt::format(", {}", w.text);
    return unknown_word(*said, all);
  }
  template <class T>
    requires StrongName<T>
  bool into(T& out, const NumberRange<std::type_identity_t<typename T::rep>>& r = {}) const
    requires JsonNumber<typename T::rep>
  {
    typename T::rep inner{};
    return into(inner, r) && (out = T(inner), true);
  }
  template <class T>
    requires StrongName<T>
  bool into(T& out, Length bytes = {}) const
    requires std::same_as<typename T::rep, std::string>
  {
    std::string inner;
    return into(inner, bytes) && (out = T(std::move(inner)), true);
  }
  template <class T, class... Limits>
  bool into(std::optional<T>& out, const Limits&... limits) const {
    T inner{};
    return into(inner, limits...) && (out = std::move(inner), true);
  }
  template <JsonNumber T>
  bool into(std::optional<T>& out, const NumberRange<std::type_identity_t<T>>& r) const {
    T inner{};
    return into(inner, r) && (out = inner, true);
  }
  /// A list of numbers or names, all of them or none.
  template <class T, class... Limits>
  bool into(std::vector<T>& out, Length items, const Limits&... limits) const {
    std::vector<T> all;
    const bool read = each(items, [&](const JsonValue& v) {
      T item{};
      if (v.into(item, limits...)) all.push_back(std::move(item));
    });
    return read && (out = std::move(all), true);
  }
  template <JsonNumber T>
  bool into(std::vector<T>& out, Length items, const NumberRange<std::type_identity_t<T>>& r) const {
    return into<T, NumberRange<T>>(out, items, r);
  }

  /// Its fields. Of an absent value: an object whose every field is absent, none of them missed.
  [[nodiscard]] JsonObject object() const;
  /// The item at `index`; absent beyond the end of the list, or where this is no list.
  [[nodiscard]] JsonValue item(std::size_t index) const;
  /// Calls item(const JsonValue&) for each item of a list, up to the first mistake. False after one.
  template <class F>
  bool each(Length items, F&& item) const {
    const nlohmann::json* list = array(items);
    if (list == nullptr) return false;
    for (std::size_t i = 0; i < list->size() && ok(); ++i) item(JsonValue(*in_, &(*list)[i], {&place_, {}, i}));
    return ok();
  }
  /// Calls member(const std::string& name, const JsonValue&) for each field of an object whose names are data.
  template <class F>
  bool members(Length fields, F&& member) const {
    const nlohmann::json* object = map(fields);
    if (object == nullptr) return false;
    for (auto it = object->begin(); it != object->end() && ok(); ++it)
      member(it.key(), JsonValue(*in_, &*it, {&place_, it.key(), 0}));
    return ok();
  }

  /// A rule that only the caller knows: "'path' " and these words, e.g. "must be even, not 3".
  template <class... A>
  void wrong(fmt::format_string<A...> f, A&&... args) const {
    if (ok()) mistake(JsonMistake::value, fmt::format(f, std::forward<A>(args)...));
  }
  /// Somebody else's error about this value: its words, at its param below this path.
  void refuse(const Error& error) const;
  /// "'path' must be {want}, not a list".
  void wrong_type(std::string_view want) const;

 private:
  friend class JsonObject;
  friend class JsonReader;
  using Whole = __int128;  // holds every integer of JSON, signed or not

  JsonValue(JsonReader& in, const nlohmann::json* value, JsonPlace place) : in_(&in), value_(value), place_(place) {}
  [[nodiscard]] bool ok() const noexcept;
  bool whole(Whole& out, Whole least, Whole most, Whole type_most) const;
  bool number(double& out, const NumberRange<double>& r) const;
  [[nodiscard]] const std::string* word() const;
  bool unknown_word(const std::string& said, std::string_view all) const;
  [[nodiscard]] const nlohmann::json* array(Length items) const;
  [[nodiscard]] const nlohmann::json* map(Length fields) const;
  bool mistake(JsonMistake m, std::string_view words) const;

  JsonReader* in_;
  const nlohmann::json* value_;  // null: absent
  JsonPlace place_;
};

/// The fields of one object.
class JsonObject {
 public:
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  [[nodiscard]] bool present() const noexcept { return self_.present(); }
  /// The document's first mistake, if there is one.
  [[nodiscard]] Result<> done() const;
  /// A field that must be there.
  [[nodiscard]] JsonValue need(FieldName name);
  /// A field that may be absent.
  [[nodiscard]] JsonValue want(FieldName name);
  [[nodiscard]] bool has(FieldName name) { return want(name).present(); }
  /// The key is there, be it with null.
  [[nodiscard]] bool mentions(FieldName name) const;
  /// Fields that are somebody else's; closed() lets them be.
  void ignore(std::initializer_list<FieldName> names);
  /// A rule over several fields: these words as they are, at the path of `name`.
  template <class... A>
  void refuse(FieldName name, fmt::format_string<A...> f, A&&... args) const {
    if (self_.ok()) refused(name.text(), fmt::format(f, std::forward<A>(args)...));
  }
  /// A rule over the whole object: "'path' " and these words; of the document itself only the words.
  template <class... A>
  void wrong(fmt::format_string<A...> f, A&&... args) const {
    self_.wrong(f, std::forward<A>(args)...);
  }
  /// Somebody else's error about this object: its words, at its param below this path.
  void refuse(const Error& error) const { self_.refuse(error); }
  /// No field is left that neither need(), want() nor ignore() named.
  void closed() const;

 private:
  friend class JsonValue;
  friend class JsonReader;
  JsonObject(JsonReader& in, const nlohmann::json* value, JsonPlace place) : self_(in, value, place) {}
  [[nodiscard]] const nlohmann::json* find(std::string_view name) const;
  void refused(std::string_view name, std::string words) const;

  JsonValue self_;
  std::vector<std::string_view> known_;  // asked for so far
};

/// A document and the first mistake in it.
class JsonReader {
 public:
  JsonReader(const nlohmann::json& document, JsonRules rules) : document_(document), rules_(std::move(rules)) {}
  JsonReader(nlohmann::json&&, JsonRules) = delete;  // a temporary would be gone
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  [[nodiscard]] JsonValue value() { return {*this, &document_, {}}; }
  /// The document as an object; a mistake if it is none.
  [[nodiscard]] JsonObject object() { return value().object(); }
  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  [[nodiscard]] Result<> done() const {
    if (error_) return std::unexpected(*error_);
    return {};
  }
  /// Of what sort the first mistake is; only after one.
  [[nodiscard]] JsonMistake mistake() const noexcept { return mistake_; }
  [[nodiscard]] const JsonRules& rules() const noexcept { return rules_; }
  /// Keeps the first mistake. `param`: the field at fault.
  void keep(JsonMistake mistake, std::string words, std::string param);

 private:
  const nlohmann::json& document_;
  JsonRules rules_;
  std::optional<Error> error_;
  JsonMistake mistake_ = JsonMistake::value;
};

}  // namespace sluice
