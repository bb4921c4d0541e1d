#pragma once
// Reads typed fields out of an untrusted JSON object. The first bad field is kept as the error; later reads are no-ops,
// so a reader is a list of fields and one check at the end.
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::control {

class FieldReader {
 public:
  FieldReader(const nlohmann::json& j, std::string_view what) : json_(j), what_(what) {
    if (!j.is_object()) error_ = Error{Errc::invalid_argument, fmt::format("{}: expected an object", what), {}};
  }

  /// A field that must be there.
  template <class T>
  FieldReader& need(const char* key, T& out) {
    if (error_.has_value()) return *this;
    if (!json_.contains(key)) return set(key, "is missing");
    return read(key, json_.at(key), out);
  }
  /// A field that keeps its default when absent or null.
  template <class T>
  FieldReader& want(const char* key, T& out) {
    if (error_.has_value() || !json_.contains(key) || json_.at(key).is_null()) return *this;
    return read(key, json_.at(key), out);
  }

  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  [[nodiscard]] const nlohmann::json& json() const noexcept { return json_; }
  [[nodiscard]] Result<> done() const {
    if (error_) return std::unexpected(*error_);
    return {};
  }
  FieldReader& set(const char* key, std::string_view why) {
    if (!error_) error_ = Error{Errc::invalid_argument, fmt::format("{}: field '{}' {}", what_, key, why), key};
    return *this;
  }

 private:
  template <class T>
  FieldReader& read(const char* key, const nlohmann::json& v, T& out) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!v.is_boolean()) return set(key, "must be a boolean");
      out = v.get<bool>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!v.is_string()) return set(key, "must be a string");
      out = v.get<std::string>();
    } else if constexpr (std::is_same_v<T, nlohmann::json>) {
      out = v;
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!v.is_number()) return set(key, "must be a number");
      out = v.get<T>();
    } else if constexpr (std::is_integral_v<T>) {
      return read_integer(key, v, out);
    } else if constexpr (std::is_same_v<T, std::vector<TokenId>>) {
      return read_tokens(key, v, out);
    } else {
      typename T::rep inner{};  // strong id
      if (read(key, v, inner).ok()) out = T(std::move(inner));
    }
    return *this;
  }

  template <class T>
  FieldReader& read_integer(const char* key, const nlohmann::json& v, T& out) {
    if (!v.is_number_integer()) return set(key, "must be an integer");
    if (v.is_number_unsigned()) {
      const auto u = v.get<std::uint64_t>();
      if (!std::in_range<T>(u)) return set(key, "is out of range");
      out = static_cast<T>(u);
    } else {
      const auto i = v.get<std::int64_t>();
      if (!std::in_range<T>(i)) return set(key, "is out of range");
      out = static_cast<T>(i);
    }
    return *this;
  }

  /// Token lists travel as one byte string of little-endian int32.
  FieldReader& read_tokens(const char* key, const nlohmann::json& v, std::vector<TokenId>& out) {
    if (!v.is_binary()) return set(key, "must be a byte string of int32");
    const auto& b = v.get_binary();
    if (b.size() % sizeof(TokenId) != 0) return set(key, "must hold whole int32 values");
    out.resize(b.size() / sizeof(TokenId));
    if (!out.empty()) std::memcpy(out.data(), b.data(), b.size());
    return *this;
  }

  const nlohmann::json& json_;
  std::string what_;
  std::optional<Error> error_;
};

/// The inverse of FieldReader's token form.
[[nodiscard]] inline nlohmann::json tokens_json(const std::vector<TokenId>& t) {
  std::vector<std::uint8_t> b(t.size() * sizeof(TokenId));
  if (!b.empty()) std::memcpy(b.data(), t.data(), b.size());
  return nlohmann::json::binary(std::move(b));
}

}  // namespace sluice::control
