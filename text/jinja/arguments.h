#pragma once
// Evaluated arguments of a call, and their binding to parameter names as Python does it.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace sluice::text::jinja {

struct Args {
  std::vector<Value> positional{};
  std::vector<std::pair<std::string, Value>> keyword{};
};

class Params {
 public:
  /// `names` must be literals. Faults on too many arguments, an unknown name, or one given twice.
  Params(std::string_view function, const Args& args, std::initializer_list<std::string_view> names)
      : function_(function), names_(names), values_(names.size(), nullptr) {
    if (args.positional.size() > names_.size())
      fault("{}() takes at most {} arguments, got {}", function, names_.size(), args.positional.size());
    for (std::size_t i = 0; i < args.positional.size(); ++i) values_[i] = &args.positional[i];
    for (const auto& [name, value] : args.keyword) {
      std::size_t i = 0;
      while (i < names_.size() && names_[i] != name) ++i;
      if (i == names_.size()) fault("{}() got an unexpected keyword argument '{}'", function, name);
      if (values_[i] != nullptr) fault("{}() got '{}' twice", function, name);
      values_[i] = &value;
    }
  }

  /// Null where it was not given.
  [[nodiscard]] const Value* get(std::size_t i) const { return values_[i]; }
  /// Null where it was not given, or None was.
  [[nodiscard]] const Value* some(std::size_t i) const {
    return values_[i] != nullptr && !values_[i]->is_none() ? values_[i] : nullptr;
  }
  [[nodiscard]] const Value& need(std::size_t i) const {
    if (values_[i] == nullptr) fault("{}() needs '{}'", function_, names_[i]);
    return *values_[i];
  }
  [[nodiscard]] bool flag(std::size_t i, bool fallback) const {
    return values_[i] == nullptr ? fallback : truthy(*values_[i]);
  }
  [[nodiscard]] std::int64_t integer(std::size_t i, std::int64_t fallback) const {
    if (values_[i] == nullptr) return fallback;
    const auto n = values_[i]->as_int();
    if (!n) fault("{}() needs an integer for '{}', not {}", function_, names_[i], values_[i]->type_name());
    return *n;
  }
  /// A string; unset or None: nullptr.
  [[nodiscard]] const Text* text(std::size_t i) const {
    if (some(i) == nullptr) return nullptr;
    refuse_undefined(*values_[i]);
    if (values_[i]->str() == nullptr)
      fault("{}() needs a string for '{}', not {}", function_, names_[i], values_[i]->type_name());
    return values_[i]->str();
  }
  [[nodiscard]] const Text& need_text(std::size_t i) const {
    (void)need(i);
    const Text* s = text(i);
    if (s == nullptr) fault("{}() needs a string for '{}', not NoneType", function_, names_[i]);
    return *s;
  }

 private:
  std::string_view function_;
  std::vector<std::string_view> names_;
  std::vector<const Value*> values_;
};

}  // namespace sluice::text::jinja
