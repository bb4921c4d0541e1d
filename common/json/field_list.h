#pragma once
// One list of a struct's fields drives both directions, writing and reading:
//
//   template <class V>
//   void fields(V& v, Of<V, KvWay> m) {
//     v.need("profile", m.profile);              // always written; reading fails without it
//     v.want("ratio", m.ratio);                  // always written; keeps its default when absent
//     v.spare("alternates", m.alternates);       // written only when not empty
//   }
//   nlohmann::json j = write_fields(way);
//   Result<KvWay> back = read_fields<KvWay>(j, {.what = "way"});
//
// A field may be a number, string, bool, strong id, Errc, any JSON, an optional or list of these, a word of a table, or
// a struct that has a list of its own. A struct with kRow<T> travels as an array in the order of its list. Where
// `Result<> check(const T&)` exists in T's namespace, what was read must pass it. Fields that the list does not name
// are ignored, since a newer peer may send them. Threading: none, values. Failure: an Error that names the field.
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/json/reader.h"

namespace sluice {

/// `m` of fields(): const where the visitor V writes.
template <class V, class T>
using Of = std::conditional_t<V::kWrites, const T&, T&>;

/// Whether T travels as an array, for messages that are many and small.
template <class T>
inline constexpr bool kRow = false;

template <class T>
concept Checked = requires(const T& m) {
  { check(m) } -> std::same_as<Result<>>;
};

inline constexpr std::size_t kMaxListItems = 4096;  // of a list that states no bound

// ---- writing

template <class T>
[[nodiscard]] nlohmann::json write_fields(const T& m);

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsList : std::false_type {};
template <class T>
struct IsList<std::vector<T>> : std::true_type {};
template <class T>
struct IsPair : std::false_type {};
template <class A, class B>
struct IsPair<std::pair<A, B>> : std::true_type {};

template <class T>
[[nodiscard]] nlohmann::json write_value(const T& v) {
  if constexpr (JsonNumber<T> || std::same_as<T, bool> || std::same_as<T, std::string> ||
                std::same_as<T, nlohmann::json>) {
    return v;
  } else if constexpr (std::same_as<T, Errc>) {
    return name(v);
  } else if constexpr (StrongName<T>) {
    return v.value();
  } else if constexpr (IsOptional<T>::value) {
    return v ? write_value(*v) : nlohmann::json(nullptr);
  } else if constexpr (IsPair<T>::value) {
    return nlohmann::json::array({write_value(v.first), write_value(v.second)});
  } else if constexpr (IsList<T>::value) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& item : v) list.push_back(write_value(item));
    return list;
  } else {
    return write_fields(v);
  }
}

/// Token ids as one byte string of little-endian int32.
[[nodiscard]] inline nlohmann::json packed_tokens(const std::vector<TokenId>& t) {
  std::vector<std::uint8_t> bytes(t.size() * sizeof(TokenId));
  if (!bytes.empty()) std::memcpy(bytes.data(), t.data(), bytes.size());
  return nlohmann::json::binary(std::move(bytes));
}

class FieldWriter {
 public:
  static constexpr bool kWrites = true;
  template <class T, class... Limits>
  void need(FieldName name, const T& v, const Limits&...) {
    put(name, write_value(v));
  }
  template <class E, std::size_t N>
  void need(FieldName name, const E& v, const Named<E> (&words)[N]) {
    for (const auto& w : words)
      if (w.value == v) return put(name, w.text);
  }
  template <class T, class... Limits>
  void want(FieldName name, const T& v, const Limits&...) {
    put(name, write_value(v));
  }
  template <class T, class... Limits>
  void spare(FieldName name, const T& v, const Limits&...) {
    if (v != T{}) put(name, write_value(v));
  }
  void need_packed(FieldName name, const std::vector<TokenId>& v) { put(name, packed_tokens(v)); }
  [[nodiscard]] nlohmann::json take() { return std::move(out_); }

 private:
  void put(FieldName name, nlohmann::json v) { out_.emplace(name.text(), std::move(v)); }
  nlohmann::json out_ = nlohmann::json::object();
};

class RowWriter {
 public:
  static constexpr bool kWrites = true;
  template <class T>
  void need(FieldName, const T& v) {
    out_.push_back(write_value(v));
  }
  [[nodiscard]] nlohmann::json take() { return std::move(out_); }

 private:
  nlohmann::json out_ = nlohmann::json::array();
};

template <class T>
nlohmann::json write_fields(const T& m) {
  std::conditional_t<kRow<T>, RowWriter, FieldWriter> w;
  fields(w, m);
  return w.take();
}

// ---- reading

template <class T>
void read_struct(const JsonValue& from, T& out);

template <class T, class... Limits>
void read_value(const JsonValue& from, T& out, const Limits&... limits) {
  if (!from.present()) return;
  if constexpr (std::same_as<T, Errc>) {
    std::string word;
    if (from.into(word)) out = errc_from_name(word);  // a newer peer's code reads as internal
  } else if constexpr (IsOptional<T>::value) {
    typename T::value_type inner{};
    read_value(from, inner, limits...);
    if (from.present()) out = std::move(inner);
  } else if constexpr (IsPair<T>::value) {
    if (!from.each({2, 2}, [](const JsonValue&) {})) return;
    read_value(from.item(0), out.first);
    read_value(from.item(1), out.second);
  } else if constexpr (IsList<T>::value) {
    const Length bound = [](Length most = {.most = kMaxListItems}) { return most; }(limits...);
    out.clear();
    from.each(bound, [&](const JsonValue& item) { read_value(item, out.emplace_back()); });
  } else if constexpr (requires { from.into(out, limits...); }) {
    from.into(out, limits...);
  } else {
    read_struct(from, out);
  }
}

class FieldParser {
 public:
  static constexpr bool kWrites = false;
  explicit FieldParser(JsonObject& in) : in_(in) {}
  template <class T, class... Limits>
  void need(FieldName name, T& out, const Limits&... limits) {
    if constexpr (std::same_as<T, nlohmann::json>) {  // null is a value of what is opaque
      if (in_.mentions(name)) return read_value(in_.want(name), out);
    }
    read_value(in_.need(name), out, limits...);
  }
  template <class T, class... Limits>
  void want(FieldName name, T& out, const Limits&... limits) {
    read_value(in_.want(name), out, limits...);
  }
  template <class T, class... Limits>
  void spare(FieldName name, T& out, const Limits&... limits) {
    read_value(in_.want(name), out, limits...);
  }
  void need_packed(FieldName name, std::vector<TokenId>& out) {
    const JsonValue v = in_.need(name);
    if (!v.present()) return;
    if (!v.raw().is_binary()) return v.wrong_type("a byte string of int32");
    const auto& bytes = v.raw().get_binary();
    if (bytes.size() % sizeof(TokenId) != 0) return v.wrong("must hold whole int32 values");
    out.resize(bytes.size() / sizeof(TokenId));
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  }

 private:
  JsonObject& in_;
};

/// Reads a row's items in turn.
class RowParser {
 public:
  static constexpr bool kWrites = false;
  explicit RowParser(const JsonValue& in) : in_(in) {}
  template <class T>
  void need(FieldName, T& out) {
    read_value(in_.item(next_++), out);
  }

 private:
  const JsonValue& in_;
  std::size_t next_ = 0;
};

/// What a row's items are called, for its errors and for how many there are.
class RowNames {
 public:
  static constexpr bool kWrites = true;
  template <class T>
  void need(FieldName name, const T&) {
    ++count;
    if (text != nullptr) *text += (text->empty() ? "" : ", ") + std::string(name.text());
  }
  std::size_t count = 0;
  std::string* text = nullptr;
};

template <class T>
void read_struct(const JsonValue& from, T& out) {
  if constexpr (kRow<T>) {
    RowNames row;
    fields(row, out);
    if (!from.raw().is_array() || from.raw().size() != row.count) {
      std::string names;
      row.text = &names;
      fields(row, out);
      return from.wrong_type(fmt::format("[{}]", names));
    }
    RowParser p(from);
    fields(p, out);
  } else {
    JsonObject object = from.object();
    FieldParser p(object);
    fields(p, out);
  }
  if constexpr (Checked<T>)
    if (from.present())
      if (auto ok = check(out); !ok) from.refuse(ok.error());
}

template <class T>
[[nodiscard]] Result<T> read_fields(const nlohmann::json& j, JsonRules rules) {
  JsonReader in(j, std::move(rules));
  T out;
  read_struct(in.value(), out);
  SLUICE_TRY(in.done());
  return out;
}

}  // namespace sluice
