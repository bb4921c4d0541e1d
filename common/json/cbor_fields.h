#pragma once
// A struct's list of fields (field_list.h) as CBOR at once: the value that json::to_cbor(write_fields(m)) gives, with
// its fields in the list's order, and no tree of JSON in between. For messages that every request costs.
//
//   std::vector<std::uint8_t> bytes;
//   append_cbor(bytes, reserve_request);
//
// Threading: none. Failure: none.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "common/json/field_list.h"

namespace sluice {

/// Puts CBOR's items (RFC 8949) at the end of some bytes.
class CborOut {
 public:
  explicit CborOut(std::vector<std::uint8_t>& out) : out_(out) {}

  enum Major : std::uint8_t { kUnsigned = 0, kNegative = 1, kBytes = 2, kText = 3, kList = 4, kMap = 5 };
  void head(Major major, std::uint64_t n) {
    const auto kind = static_cast<std::uint8_t>(major << 5U);
    if (n < 24) return out_.push_back(static_cast<std::uint8_t>(kind | n));
    const unsigned width = n <= 0xff ? 0 : n <= 0xffff ? 1 : n <= 0xffffffff ? 2 : 3;
    out_.push_back(static_cast<std::uint8_t>(kind | (24U + width)));
    big_endian(n, std::size_t{1} << width);
  }
  void text(std::string_view s) {
    head(kText, s.size());
    out_.insert(out_.end(), s.begin(), s.end());
  }
  void boolean(bool v) { out_.push_back(v ? 0xf5 : 0xf4); }
  void null() { out_.push_back(0xf6); }
  void json(const nlohmann::json& v) { nlohmann::json::to_cbor(v, out_); }
  template <JsonWhole T>
  void number(T v) {
    if constexpr (std::signed_integral<T>)
      if (v < 0) return head(kNegative, static_cast<std::uint64_t>(-1 - static_cast<std::int64_t>(v)));
    head(kUnsigned, static_cast<std::uint64_t>(v));
  }
  /// As short as it can be without a loss: what is no finite number as a half, others as a float or a double.
  void number(double v) {
    if (!std::isfinite(v)) {
      out_.push_back(0xf9);
      return big_endian(std::isnan(v) ? 0x7e00 : v > 0 ? 0x7c00 : 0xfc00, 2);
    }
    const bool fits =
        std::fabs(v) <= std::numeric_limits<float>::max() && static_cast<double>(static_cast<float>(v)) == v;
    out_.push_back(fits ? 0xfa : 0xfb);
    if (fits) return big_endian(std::bit_cast<std::uint32_t>(static_cast<float>(v)), 4);
    big_endian(std::bit_cast<std::uint64_t>(v), 8);
  }
  void packed(const std::vector<TokenId>& tokens) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(tokens.data());
    head(kBytes, tokens.size() * sizeof(TokenId));
    out_.insert(out_.end(), bytes, bytes + tokens.size() * sizeof(TokenId));
  }

 private:
  void big_endian(std::uint64_t v, std::size_t bytes) {
    for (std::size_t i = bytes; i > 0; --i) out_.push_back(static_cast<std::uint8_t>(v >> (8 * (i - 1))));
  }
  std::vector<std::uint8_t>& out_;
};

template <class T>
void put_cbor(CborOut& out, const T& v);

/// How many of a struct's fields are written.
class CborCounter {
 public:
  static constexpr bool kWrites = true;
  template <class T, class... Limits>
  void need(FieldName, const T&, const Limits&...) {
    ++count;
  }
  template <class E, std::size_t N>
  void need(FieldName, const E& v, const Named<E> (&words)[N]) {
    for (const auto& w : words)
      if (w.value == v) return void(++count);
  }
  template <class T, class... Limits>
  void want(FieldName, const T&, const Limits&...) {
    ++count;
  }
  template <class T, class... Limits>
  void spare(FieldName, const T& v, const Limits&...) {
    if (v != T{}) ++count;
  }
  void need_packed(FieldName, const std::vector<TokenId>&) { ++count; }
  std::size_t count = 0;
};

class CborFields {
 public:
  static constexpr bool kWrites = true;
  /// named: as a map; else as a row.
  CborFields(CborOut& out, bool named) : out_(out), named_(named) {}
  template <class T, class... Limits>
  void need(FieldName name, const T& v, const Limits&...) {
    put(name, v);
  }
  template <class E, std::size_t N>
  void need(FieldName name, const E& v, const Named<E> (&words)[N]) {
    for (const auto& w : words) {
      if (w.value != v) continue;
      key(name);
      return out_.text(w.text);
    }
  }
  template <class T, class... Limits>
  void want(FieldName name, const T& v, const Limits&...) {
    put(name, v);
  }
  template <class T, class... Limits>
  void spare(FieldName name, const T& v, const Limits&...) {
    if (v != T{}) put(name, v);
  }
  void need_packed(FieldName name, const std::vector<TokenId>& v) {
    key(name);
    out_.packed(v);
  }

 private:
  void key(FieldName name) {
    if (named_) out_.text(name.text());
  }
  template <class T>
  void put(FieldName name, const T& v) {
    key(name);
    put_cbor(out_, v);
  }
  CborOut& out_;
  bool named_;
};

template <class T>
void put_cbor(CborOut& out, const T& v) {
  if constexpr (std::same_as<T, bool>) {
    out.boolean(v);
  } else if constexpr (std::floating_point<T>) {
    out.number(static_cast<double>(v));
  } else if constexpr (JsonWhole<T>) {
    out.number(v);
  } else if constexpr (std::same_as<T, std::string>) {
    out.text(v);
  } else if constexpr (std::same_as<T, nlohmann::json>) {
    out.json(v);
  } else if constexpr (std::same_as<T, Errc>) {
    out.text(name(v));
  } else if constexpr (StrongName<T>) {
    put_cbor(out, v.value());
  } else if constexpr (IsOptional<T>::value) {
    v ? put_cbor(out, *v) : out.null();
  } else if constexpr (IsPair<T>::value) {
    out.head(CborOut::kList, 2);
    put_cbor(out, v.first);
    put_cbor(out, v.second);
  } else if constexpr (IsList<T>::value) {
    out.head(CborOut::kList, v.size());
    for (const auto& item : v) put_cbor(out, item);
  } else {
    CborCounter counter;
    fields(counter, v);
    out.head(kRow<T> ? CborOut::kList : CborOut::kMap, counter.count);
    CborFields writer(out, !kRow<T>);
    fields(writer, v);
  }
}

template <class T>
void append_cbor(std::vector<std::uint8_t>& bytes, const T& m) {
  CborOut out(bytes);
  put_cbor(out, m);
}

}  // namespace sluice
