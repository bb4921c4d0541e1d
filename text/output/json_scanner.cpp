#include "text/output/json_scanner.h"

#include <string_view>

namespace sluice::text::output {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

JsonScanner::Step JsonScanner::push(char c) {
  switch (at_) {
    case At::begin:
      return c == '{' || c == '"' ? begin_value(c) : Step::bad;
    case At::string:
    case At::escape:
    case At::hex:
      return in_string(c);
    case At::literal:
      if (c != *rest_++) return Step::bad;
      return *rest_ == '\0' ? value_ended() : Step::more;
    case At::minus:
    case At::zero:
    case At::digits:
    case At::point:
    case At::fraction:
    case At::exponent:
    case At::exponent_sign:
    case At::exponent_digits:
      return in_number(c);
    default:
      break;
  }
  if (is_space(c)) return Step::more;
  switch (at_) {
    case At::value:
      return begin_value(c);
    case At::value_or_end:
      return c == ']' ? close(c) : begin_value(c);
    case At::key_or_end:
      if (c == '}') return close(c);
      [[fallthrough]];
    case At::key:
      string_is_key_ = true;
      return c == '"' ? go(At::string) : Step::bad;
    case At::colon:
      return c == ':' ? go(At::value) : Step::bad;
    default:  // comma_or_end
      if (c != ',') return close(c);
      return go(closers_.back() == '}' ? At::key : At::value);
  }
}

JsonScanner::Step JsonScanner::begin_value(char c) {
  const auto literal = [this](const char* rest) {
    rest_ = rest;
    return go(At::literal);
  };
  switch (c) {
    case '{':
    case '[':
      if (closers_.size() == kMaxDepth) return Step::bad;
      closers_.push_back(c == '{' ? '}' : ']');
      return go(c == '{' ? At::key_or_end : At::value_or_end);
    case '"':
      string_is_key_ = false;
      return go(At::string);
    case 't':
      return literal("rue");
    case 'f':
      return literal("alse");
    case 'n':
      return literal("ull");
    case '-':
      return go(At::minus);
    case '0':
      return go(At::zero);
    default:
      return is_digit(c) ? go(At::digits) : Step::bad;
  }
}

JsonScanner::Step JsonScanner::in_string(char c) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  if (at_ == At::escape) {
    hex_left_ = 4;
    if (c == 'u') return go(At::hex);
    return kEscapes.contains(c) ? go(At::string) : Step::bad;
  }
  if (at_ == At::hex) {
    if (!is_hex(c)) return Step::bad;
    return --hex_left_ == 0 ? go(At::string) : Step::more;
  }
  if (c == '\\') return go(At::escape);
  if (static_cast<unsigned char>(c) < 0x20) return Step::bad;
  if (c != '"') return Step::more;
  return string_is_key_ ? go(At::colon) : value_ended();
}

JsonScanner::Step JsonScanner::in_number(char c) {
  const bool digit = is_digit(c);
  const bool exponent = c == 'e' || c == 'E';
  switch (at_) {
    case At::minus:
      return digit ? go(c == '0' ? At::zero : At::digits) : Step::bad;
    case At::point:
      return digit ? go(At::fraction) : Step::bad;
    case At::exponent:
      if (c == '+' || c == '-') return go(At::exponent_sign);
      [[fallthrough]];
    case At::exponent_sign:
      return digit ? go(At::exponent_digits) : Step::bad;
    case At::zero:
      if (digit) return Step::bad;
      break;
    default:
      if (digit) return Step::more;
  }
  if (c == '.' && (at_ == At::zero || at_ == At::digits)) return go(At::point);
  if (exponent && at_ != At::exponent_digits) return go(At::exponent);
  // The number has ended before this byte; it is inside of an object, or there would be none.
  at_ = At::comma_or_end;
  return push(c);
}

JsonScanner::Step JsonScanner::close(char c) {
  if (closers_.empty() || closers_.back() != c) return Step::bad;
  closers_.pop_back();
  return value_ended();
}

JsonScanner::Step JsonScanner::value_ended() {
  at_ = At::comma_or_end;
  return closers_.empty() ? Step::done : Step::more;
}

}  // namespace sluice::text::output
