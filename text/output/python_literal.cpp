#include "text/output/python_literal.h"

#include <charconv>
#include <string_view>

#include "common/utf8.h"

namespace sluice::text::output {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-';
}

/// A number as JSON has it.
bool is_number(std::string_view s) {
  JsonScanner in;
  for (const char c : "{\"\":")
    if (c != '\0' && in.push(c) == JsonScanner::Step::bad) return false;
  for (const char c : s)
    if (in.push(c) != JsonScanner::Step::more) return false;
  return s.find_first_not_of("0123456789+-.eE") == std::string_view::npos && in.push('}') == JsonScanner::Step::done;
}

}  // namespace

PythonLiteral::Step PythonLiteral::push(char c) {
  switch (at_) {
    case At::string:
      return in_string(c);
    case At::escape:
    case At::digits:
      return in_escape(c);
    case At::word:
      if (!is_word(c)) return word_read(c);
      word_ += c;
      return word_.size() > 400 ? Step::bad : Step::more;  // longer than any double
    default:
      break;
  }
  if (is_space(c)) return Step::more;
  if (at_ == At::separator) {
    auto& in = open_.back();
    if (c == in.closer) return close();
    if (c != ',') return Step::bad;
    in.key = in.dict;
    at_ = At::first;  // a comma may come last
    return Step::more;
  }
  if (at_ == At::colon) {
    if (c != ':') return Step::bad;
    open_.back().key = false;
    out_ += ": ";
    at_ = At::value;
    return Step::more;
  }
  if (at_ == At::first && c == open_.back().closer) return close();
  return begin_value(c);
}

PythonLiteral::Step PythonLiteral::begin_value(char c) {
  const bool quote = c == '"' || c == '\'';
  if (!open_.empty()) {
    auto& in = open_.back();
    if (in.key && !quote) return Step::bad;
    if (at_ == At::first && std::exchange(in.any, true)) out_ += ", ";
  }
  if (quote) {
    quote_ = c;
    at_ = At::string;
    out_ += '"';
    return Step::more;
  }
  if (c == '[' || c == '(' || c == '{') {
    if (open_.size() == JsonScanner::kMaxDepth) return Step::bad;
    open_.push_back({c == '[' ? ']' : c == '(' ? ')' : '}', c == '{', c == '{', false});
    out_ += c == '{' ? '{' : '[';
    at_ = At::first;
    return Step::more;
  }
  if (!is_word(c)) return Step::bad;
  at_ = At::word;
  word_ = c;
  return Step::more;
}

PythonLiteral::Step PythonLiteral::value_ended() {
  if (open_.empty()) return Step::done;
  at_ = At::separator;
  return Step::more;
}

PythonLiteral::Step PythonLiteral::close() {
  out_ += open_.back().dict ? '}' : ']';
  open_.pop_back();
  return value_ended();
}

void PythonLiteral::put(char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto u = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\')
    out_ += {'\\', c};
  else if (u < 0x20)
    out_ += {'\\', 'u', '0', '0', kHex[u >> 4U], kHex[u & 15U]};
  else
    out_ += c;
}

PythonLiteral::Step PythonLiteral::in_string(char c) {
  if (c == '\\') {
    at_ = At::escape;
    return Step::more;
  }
  if (c != quote_) {
    put(c);
    return Step::more;
  }
  out_ += '"';
  if (open_.empty() || !open_.back().key) return value_ended();
  at_ = At::colon;
  return Step::more;
}

PythonLiteral::Step PythonLiteral::in_escape(char c) {
  constexpr std::string_view kNames = "ntrbfav0\\'\"/";
  constexpr std::string_view kMeanings{"\n\t\r\b\f\a\v\0\\'\"/", 12};
  if (at_ == At::digits) {
    word_ += c;
    return word_.size() < digits_ ? Step::more : digits_read();
  }
  digits_ = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits_ > 0) {
    word_.clear();
    at_ = At::digits;
    return Step::more;
  }
  at_ = At::string;
  if (c == '\n') return Step::more;  // a line goes on
  if (const auto known = kNames.find(c); known != std::string_view::npos) {
    put(kMeanings[known]);
  } else {
    put('\\');  // what Python does with an escape that it does not know
    put(c);
  }
  return Step::more;
}

PythonLiteral::Step PythonLiteral::digits_read() {
  std::uint32_t code = 0;
  const char* end = word_.data() + word_.size();
  if (const auto r = std::from_chars(word_.data(), end, code, 16); r.ec != std::errc() || r.ptr != end)
    return Step::bad;
  at_ = At::string;
  if (digits_ < 8) {
    out_ += "\\u" + std::string(4 - word_.size(), '0') + word_;  // halves of a pair stay as they are
    return Step::more;
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return Step::bad;
  std::string text;
  append_utf8(text, static_cast<char32_t>(code));
  for (const char b : text) put(b);
  return Step::more;
}

PythonLiteral::Step PythonLiteral::word_read(char c) {
  if (word_ == "True" || word_ == "true")
    out_ += "true";
  else if (word_ == "False" || word_ == "false")
    out_ += "false";
  else if (word_ == "None" || word_ == "null")
    out_ += "null";
  else if (is_number(word_))
    out_ += word_;
  else
    return Step::bad;
  if (open_.empty()) return Step::before;
  at_ = At::separator;
  return push(c);
}

}  // namespace sluice::text::output
