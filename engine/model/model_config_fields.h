#pragma once
// Typed, bounded access to the fields of an untrusted JSON object. Private to model_config*.cpp.
// A field that is null counts as absent, as transformers reads it.
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/result.h"

namespace sluice::engine {

class ConfigFields {
 public:
  using json = nlohmann::json;
  explicit ConfigFields(const json& object) : object_(object) {}

  [[nodiscard]] const json* find(const char* key) const {
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  [[nodiscard]] bool has_key(const char* key) const { return object_.contains(key); }

  /// An integer in [1, max]; an error when absent.
  [[nodiscard]] Result<std::uint32_t> count(const char* key, std::uint32_t max) const {
    const json* v = find(key);
    if (!v) return fail_param(key, "config.json has no '{}'", key);
    return as_count(key, *v, max);
  }
  [[nodiscard]] Result<std::uint32_t> count_or(const char* key, std::uint32_t max, std::uint32_t absent) const {
    const json* v = find(key);
    if (!v) return absent;
    return as_count(key, *v, max);
  }
  /// A finite number > 0 and <= max; an error when absent.
  [[nodiscard]] Result<double> positive(const char* key, double max) const {
    const json* v = find(key);
    if (!v) return fail_param(key, "config.json has no '{}'", key);
    const double d = v->is_number() ? v->get<double>() : 0.0;
    if (!(std::isfinite(d) && d > 0.0 && d <= max))
      return fail_param(key, "config.json: '{}' must be a number in (0, {}]", key, max);
    return d;
  }
  [[nodiscard]] Result<double> positive_or(const char* key, double max, double absent) const {
    if (!find(key)) return absent;
    return positive(key, max);
  }
  [[nodiscard]] Result<bool> flag_or(const char* key, bool absent) const {
    const json* v = find(key);
    if (!v) return absent;
    if (!v->is_boolean()) return fail_param(key, "config.json: '{}' must be true or false", key);
    return v->get<bool>();
  }
  [[nodiscard]] Result<std::string> text_or(const char* key, const char* absent) const {
    const json* v = find(key);
    if (!v) return absent;
    if (!v->is_string()) return fail_param(key, "config.json: '{}' must be a string", key);
    return v->get<std::string>();
  }

 private:
  static Result<std::uint32_t> as_count(const char* key, const json& v, std::uint32_t max) {
    if (!v.is_number_integer() || (!v.is_number_unsigned() && v.get<std::int64_t>() < 1) ||
        v.get<std::uint64_t>() < 1 || v.get<std::uint64_t>() > max)
      return fail_param(key, "config.json: '{}' must be an integer between 1 and {}", key, max);
    return static_cast<std::uint32_t>(v.get<std::uint64_t>());
  }

  const json& object_;
};

}  // namespace sluice::engine
