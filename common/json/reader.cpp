#include "common/json/reader.h"

#include <algorithm>
#include <cmath>

#include "common/json/nearest.h"
#include "common/json/parse.h"
#include "common/utf8.h"

namespace sluice {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxShown = 64;  // bytes of a foreign word in an error
constexpr std::size_t kFew = 8;        // names that an error can list

/// What is there instead: figures as they are, of text only that it is text, since it may be secret or huge.
std::string shown(const json& v) {
  if (v.is_number()) return v.dump();
  return std::string(json_type(v));
}

std::string range_text(const NumberRange<double>& r) {
  const bool bounded = r.most < std::numeric_limits<float>::max();
  if (r.above) return fmt::format(" above {:g}", *r.above) + (bounded ? fmt::format(" and at most {:g}", r.most) : "");
  const bool from = r.least > std::numeric_limits<float>::lowest();
  if (from && bounded) return fmt::format(" from {:g} to {:g}", r.least, r.most);
  if (from) return fmt::format(" of at least {:g}", r.least);
  return bounded ? fmt::format(" of at most {:g}", r.most) : "";
}

std::string range_text(__int128 least, __int128 most, bool open_above) {
  const bool open_below = least <= std::numeric_limits<std::int32_t>::min();
  if (open_below) return open_above ? "" : fmt::format(" of at most {}", most);
  return open_above ? fmt::format(" of at least {}", least) : fmt::format(" from {} to {}", least, most);
}

std::string count_text(const Length& n, std::string_view unit) {
  if (n.least == n.most) return fmt::format("exactly {} {}", n.least, unit);
  if (n.most == std::numeric_limits<std::size_t>::max()) return fmt::format("at least {} {}", n.least, unit);
  return n.least == 0 ? fmt::format("at most {} {}", n.most, unit) : fmt::format("{} to {} {}", n.least, n.most, unit);
}

bool within(std::size_t n, const Length& l) { return n >= l.least && n <= l.most; }

}  // namespace

std::string JsonPlace::path() const {
  if (up == nullptr) return {};
  std::string at = up->path();
  if (name.empty()) return fmt::format("{}[{}]", at, index);
  if (!at.empty()) at += '.';
  return at.append(clip_utf8(name, kMaxShown));
}

void JsonReader::keep(JsonMistake mistake, std::string words, std::string param) {
  if (error_) return;
  error_ = Error{rules_.code, rules_.what.empty() ? std::move(words) : fmt::format("{}: {}", rules_.what, words),
                 std::move(param)};
  mistake_ = mistake;
}

bool JsonValue::ok() const noexcept { return in_->ok(); }
bool JsonValue::present() const noexcept { return value_ != nullptr && ok(); }

bool JsonValue::mistake(JsonMistake m, std::string_view words) const {
  std::string at = path();
  std::string text = at.empty() ? std::string(words) : fmt::format("'{}' {}", at, words);
  in_->keep(m, std::move(text), std::move(at));
  return false;
}

void JsonValue::wrong_type(std::string_view want) const {
  if (ok()) mistake(JsonMistake::type, fmt::format("must be {}, not {}", want, value_ ? shown(*value_) : "absent"));
}

bool JsonValue::into(bool& out) const {
  if (!present()) return false;
  if (!value_->is_boolean()) return wrong_type("true or false"), false;
  out = value_->get<bool>();
  return true;
}

bool JsonValue::into(std::string& out, Length bytes) const {
  const std::string* s = word();
  if (s == nullptr) return false;
  if (!within(s->size(), bytes))
    return mistake(JsonMistake::value, fmt::format("must be {} long, not {}", count_text(bytes, "bytes"), s->size()));
  out = *s;
  return true;
}

bool JsonValue::into(json& out) const {
  if (!present()) return false;
  out = *value_;
  return true;
}

bool JsonValue::whole(Whole& out, Whole least, Whole most, Whole type_most) const {
  if (!present()) return false;
  const json& v = *value_;
  constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it not every whole number is a double
  bool is_whole = true;
  if (v.is_number_unsigned())
    out = v.get<std::uint64_t>();
  else if (v.is_number_integer())
    out = v.get<std::int64_t>();
  else if (const double d = v.is_number_float() && in_->rules().whole_floats ? v.get<double>() : 0.5;
           std::floor(d) == d && std::fabs(d) <= kExact)
    out = static_cast<std::int64_t>(d);
  else
    is_whole = false;
  if (is_whole && out >= least && out <= most) return true;
  const bool open_above = most == type_most && !(is_whole && out > most);
  return mistake(is_whole ? JsonMistake::value : JsonMistake::type,
                 fmt::format("must be a whole number{}, not {}", range_text(least, most, open_above), shown(v)));
}

bool JsonValue::number(double& out, const NumberRange<double>& r) const {
  if (!present()) return false;
  const bool is_number = value_->is_number();
  const double d = is_number ? value_->get<double>() : NAN;
  if (is_number && !std::isfinite(d) && in_->rules().non_finite) return out = d, true;
  if (std::isfinite(d) && d <= r.most && (r.above ? d > *r.above : d >= r.least)) {
    out = d;
    return true;
  }
  return mistake(
      is_number ? JsonMistake::value : JsonMistake::type,
      fmt::format("must be a number{}, not {}", range_text(r), is_number ? fmt::format("{:g}", d) : shown(*value_)));
}

const std::string* JsonValue::word() const {
  if (!present()) return nullptr;
  if (!value_->is_string()) return wrong_type("a string"), nullptr;
  return &value_->get_ref<const std::string&>();
}

bool JsonValue::unknown_word(const std::string& said, std::string_view all) const {
  return mistake(JsonMistake::value, fmt::format("must be one of {}, not '{}'", all, clip_utf8(said, kMaxShown)));
}

const json* JsonValue::array(Length items) const {
  if (!present()) return nullptr;
  if (!value_->is_array()) return wrong_type("a list"), nullptr;
  if (within(value_->size(), items)) return value_;
  mistake(JsonMistake::value, fmt::format("must hold {}, not {}", count_text(items, "items"), value_->size()));
  return nullptr;
}

const json* JsonValue::map(Length fields) const {
  if (!present()) return nullptr;
  if (!value_->is_object()) return wrong_type("an object"), nullptr;
  if (within(value_->size(), fields)) return value_;
  mistake(JsonMistake::value, fmt::format("must hold {}, not {}", count_text(fields, "fields"), value_->size()));
  return nullptr;
}

JsonObject JsonValue::object() const {
  if (present() && !value_->is_object()) wrong_type("an object");
  return {*in_, present() ? value_ : nullptr, place_};
}

JsonValue JsonValue::item(std::size_t index) const {
  const bool there = present() && value_->is_array() && index < value_->size();
  return {*in_, there ? &(*value_)[index] : nullptr, {&place_, {}, index}};
}

void JsonValue::refuse(const Error& error) const {
  in_->keep(JsonMistake::value, error.message,
            error.param.empty() ? path() : JsonPlace{&place_, error.param, 0}.path());
}

const json* JsonObject::find(std::string_view name) const {
  if (!self_.present()) return nullptr;
  const auto it = self_.value_->find(name);
  if (it == self_.value_->end() || (it->is_null() && self_.in_->rules().null_is_absent)) return nullptr;
  return &*it;
}

Result<> JsonObject::done() const { return self_.in_->done(); }

JsonValue JsonObject::want(FieldName name) {
  known_.push_back(name.text());
  return {*self_.in_, find(name.text()), {&self_.place_, name.text(), 0}};
}

JsonValue JsonObject::need(FieldName name) {
  known_.push_back(name.text());
  const json* v = find(name.text());
  if (v == nullptr && self_.present()) {
    const JsonPlace at{&self_.place_, name.text(), 0};
    std::string path = at.path();
    self_.in_->keep(JsonMistake::missing, fmt::format("'{}' is missing", path), path);
  }
  return {*self_.in_, v, {&self_.place_, name.text(), 0}};
}

bool JsonObject::mentions(FieldName name) const { return self_.present() && self_.value_->contains(name.text()); }

void JsonObject::ignore(std::initializer_list<FieldName> names) {
  for (const FieldName& n : names) known_.push_back(n.text());
}

void JsonObject::refused(std::string_view name, std::string words) const {
  self_.in_->keep(JsonMistake::value, std::move(words), JsonPlace{&self_.place_, name, 0}.path());
}

void JsonObject::closed() const {
  if (!self_.present()) return;
  for (auto it = self_.value_->begin(); it != self_.value_->end(); ++it) {
    if (std::ranges::find(known_, it.key()) != known_.end()) continue;
    const std::string_view meant = nearest_name(it.key(), known_);
    std::string path = JsonPlace{&self_.place_, it.key(), 0}.path();
    std::string words = fmt::format("unknown field '{}'", path);
    if (!meant.empty())
      words += fmt::format("; did you mean '{}'?", meant);
    else if (known_.size() <= kFew)
      words += fmt::format("; known are {}", fmt::join(known_, ", "));
    self_.in_->keep(JsonMistake::unknown, std::move(words), std::move(path));
    return;
  }
}

}  // namespace sluice
