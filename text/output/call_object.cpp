#include "text/output/call_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice::text::output {
namespace {

/// The text of a JSON string; null if it is not well-formed UTF-8.
std::optional<std::string> text_of(const std::string& quoted) {
  auto j = nlohmann::json::parse(quoted, nullptr, /*allow_exceptions=*/false);
  if (!j.is_string()) return std::nullopt;
  return std::move(j.get_ref<std::string&>());
}

}  // namespace

bool is_name_byte(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

JsonScanner::Step CallObject::push(char c) {
  if (at_ == At::in_key || at_ == At::in_value) {
    const Step s = scanner_.push(c);
    if (s == Step::bad) return s;
    (at_ == At::in_value && key_ == Key::arguments ? arguments_ : word_) += c;
    if (s == Step::more) return s;
    return at_ == At::in_key ? key_read() : value_read();
  }
  if (at_ != At::begin && is_space(c)) return Step::more;
  switch (at_) {
    case At::begin:
      at_ = At::key_or_end;
      return c == '{' ? Step::more : Step::bad;
    case At::key_or_end:
    case At::key:
      if (c != '"') return Step::bad;  // an empty object is no call
      at_ = At::in_key;
      word_ = c;
      scanner_ = {};
      return scanner_.push(c);
    case At::colon:
      at_ = At::value;
      return c == ':' ? Step::more : Step::bad;
    case At::value:
      return begin_value(c);
    default:  // comma_or_end
      if (c == '}') return name_ ? Step::done : Step::bad;
      at_ = At::key;
      return c == ',' ? Step::more : Step::bad;
  }
}

JsonScanner::Step CallObject::key_read() {
  at_ = At::colon;
  if (word_ == "\"name\"" && !name_)
    key_ = Key::name;
  else if ((word_ == "\"arguments\"" || word_ == "\"parameters\"") && !has_arguments_)
    key_ = Key::arguments;
  else if (word_ == "\"id\"" || word_ == "\"type\"")
    key_ = Key::other;
  else
    return Step::bad;
  return Step::more;
}

JsonScanner::Step CallObject::begin_value(char c) {
  if (c != (key_ == Key::arguments ? '{' : '"')) return Step::bad;
  at_ = At::in_value;
  scanner_ = {};
  if (key_ == Key::arguments) {
    has_arguments_ = true;
    arguments_ = c;
  } else {
    word_ = c;
  }
  return scanner_.push(c);
}

JsonScanner::Step CallObject::value_read() {
  at_ = At::comma_or_end;
  if (key_ != Key::name) return Step::more;
  auto name = text_of(word_);
  if (!name || name->empty() || name->size() > kMaxNameBytes || !std::ranges::all_of(*name, is_name_byte))
    return Step::bad;
  name_ = std::move(name);
  return Step::more;
}

}  // namespace sluice::text::output
