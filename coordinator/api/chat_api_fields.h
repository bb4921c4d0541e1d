#pragma once
// Internal to chat_api: typed reading of a JSON object's fields. The first wrong field wins; the rest read as their
// defaults, so that a parser is one straight list of fields and one check at its end.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "coordinator/api/chat_api.h"

namespace sluice::coordinator {

/// "5 (number)"-like words for messages: the type only, values may be secret or huge.
[[nodiscard]] inline std::string_view type_words(const nlohmann::json& v) {
  if (v.is_string()) return "a string";
  if (v.is_boolean()) return "a boolean";
  if (v.is_number_integer()) return "an integer";
  if (v.is_number()) return "a number";
  if (v.is_array()) return "a list";
  if (v.is_object()) return "an object";
  return "null";
}

class Fields {
 public:
  /// `prefix` goes before field names in messages, e.g. "sluice.".
  Fields(const nlohmann::json& object, std::optional<ApiError>& error, std::string prefix = {})
      : object_(object), error_(error), prefix_(std::move(prefix)) {}

  [[nodiscard]] const nlohmann::json& all() const { return object_; }
  [[nodiscard]] std::string param(std::string_view field) const { return prefix_ + std::string(field); }
  template <class... A>
  void refuse(std::string_view field, fmt::format_string<A...> f, A&&... args) {
    if (!error_) error_ = ApiError::invalid(fmt::format(f, std::forward<A>(args)...), param(field), "invalid_value");
  }

  /// Null if absent or null.
  [[nodiscard]] const nlohmann::json* find(std::string_view field) const {
    auto it = object_.find(field);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }

  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view field, std::int64_t lo, std::int64_t hi) {
    const auto* v = find(field);
    if (!v) return std::nullopt;
    if (!v->is_number_integer()) return wrong_type(field, "an integer", *v), std::nullopt;
    bool huge = v->is_number_unsigned() && v->get<std::uint64_t>() > static_cast<std::uint64_t>(hi);
    auto x = huge ? hi : v->get<std::int64_t>();
    if (huge || x < lo || x > hi) {
      if (hi == std::numeric_limits<int>::max())
        refuse(field, "{} must be at least {}, not {}.", param(field), lo, v->dump());
      else
        refuse(field, "{} must be between {} and {}, not {}.", param(field), lo, hi, v->dump());
      return std::nullopt;
    }
    return x;
  }
  [[nodiscard]] std::optional<double> number(std::string_view field) {
    const auto* v = find(field);
    if (!v) return std::nullopt;
    if (!v->is_number()) return wrong_type(field, "a number", *v), std::nullopt;
    double x = v->get<double>();
    if (!std::isfinite(x)) return refuse(field, "{} must be finite.", param(field)), std::nullopt;
    return x;
  }
  [[nodiscard]] std::optional<bool> boolean(std::string_view field) {
    const auto* v = find(field);
    if (!v) return std::nullopt;
    if (!v->is_boolean()) return wrong_type(field, "true or false", *v), std::nullopt;
    return v->get<bool>();
  }
  [[nodiscard]] std::optional<std::string> string(std::string_view field, std::size_t max_bytes) {
    const auto* v = find(field);
    if (!v) return std::nullopt;
    if (!v->is_string()) return wrong_type(field, "a string", *v), std::nullopt;
    const auto& s = v->get_ref<const std::string&>();
    if (s.size() > max_bytes)
      return refuse(field, "{} is {} bytes long; at most {} are allowed.", param(field), s.size(), max_bytes),
             std::nullopt;
    return s;
  }
  [[nodiscard]] const nlohmann::json* object(std::string_view field) {
    const auto* v = find(field);
    if (v && !v->is_object()) return wrong_type(field, "an object", *v), nullptr;
    return v;
  }
  [[nodiscard]] const nlohmann::json* list(std::string_view field) {
    const auto* v = find(field);
    if (v && !v->is_array()) return wrong_type(field, "a list", *v), nullptr;
    return v;
  }
  void wrong_type(std::string_view field, std::string_view want, const nlohmann::json& got) {
    if (!error_)
      error_ = ApiError::invalid(fmt::format("{} must be {}, not {}.", param(field), want, type_words(got)),
                                 param(field), "invalid_type");
  }

 private:
  const nlohmann::json& object_;
  std::optional<ApiError>& error_;
  std::string prefix_;
};

/// messages, tools, tool_choice, chat_template_kwargs, add_generation_prompt. `body`: the text `fields` was parsed
/// from; it is read once more for the order of its keys.
[[nodiscard]] ChatPrompt read_chat_prompt(std::string_view body, Fields& fields);
/// A list of token ids of the vocabulary.
[[nodiscard]] std::vector<TokenId> read_ids(const nlohmann::json& list, std::string_view field, int vocab_size,
                                            Fields& fields);

}  // namespace sluice::coordinator
