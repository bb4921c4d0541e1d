#include "text/jinja/number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/characters.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

constexpr std::size_t kMaxBits = 14'284;  // of kMaxDigits

/// ASCII of a number's text: spaces around gone, digits of any script as 0 to 9; null if it holds anything else.
std::optional<std::string> plain(std::string_view s) {
  const auto [begin, end] = strip(s, Side::both);
  std::string out;
  for (std::size_t i = begin; i < end;) {
    const Character c = character_at(s, i);
    i += c.length;
    if (c.code < 0x80)
      out += static_cast<char>(c.code);
    else if (const auto digit = decimal_value(c.code))
      out += static_cast<char>('0' + *digit);
    else
      return std::nullopt;
  }
  return out;
}

/// Takes underscores out that stand between digits; false at any other.
bool take_underscores(std::string& digits, bool after_prefix) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (digits[i] != '_') {
      out += digits[i];
      continue;
    }
    const bool before = i > 0 ? std::isalnum(static_cast<unsigned char>(digits[i - 1])) != 0 : after_prefix;
    const bool behind = i + 1 < digits.size() && std::isalnum(static_cast<unsigned char>(digits[i + 1])) != 0;
    if (!before || !behind) return false;
  }
  digits = std::move(out);
  return true;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

int prefix_base(std::string_view digits) {
  if (digits.size() < 2 || digits[0] != '0') return 0;
  switch (digits[1]) {
    case 'x':
    case 'X':
      return 16;
    case 'o':
    case 'O':
      return 8;
    case 'b':
    case 'B':
      return 2;
    default:
      return 0;
  }
}

}  // namespace

Value integer_value(const Integer& n, Budget& budget) {
  if (n >= INT64_MIN && n <= INT64_MAX) return Value::integer(n.convert_to<std::int64_t>());
  const std::size_t bits = boost::multiprecision::msb(Integer(boost::multiprecision::abs(n)));
  if (bits > kMaxBits) fault("an integer of more than {} digits", kMaxDigits);
  budget.memory(bits / 8 + 64);
  return Value(std::make_shared<const BigInt>(BigInt{n}));
}

Integer to_integer(const Value& v) {
  if (const auto* big = v.get<BigRef>()) return (*big)->n;
  return Integer(v.as_int().value_or(0));
}

std::string integer_text(const Value& v) {
  if (const auto* big = v.get<BigRef>()) return (*big)->n.str();
  return std::to_string(v.as_int().value_or(0));
}

std::string integer_digits(const Integer& n, unsigned base) {
  if (n == 0) return "0";
  if (base == 10) return Integer(boost::multiprecision::abs(n)).str();
  std::string out;
  for (Integer rest(boost::multiprecision::abs(n)); rest != 0; rest /= base)
    out += "0123456789abcdefghijklmnopqrstuvwxyz"[(rest % base).convert_to<unsigned>()];
  std::ranges::reverse(out);
  return out;
}

double divide(const Integer& a, const Integer& b) {
  if (a == 0) return 0;
  Integer x(boost::multiprecision::abs(a));
  Integer y(boost::multiprecision::abs(b));
  // A quotient of 60 to 62 bits, whose last says whether anything was left: the conversion then rounds once.
  const int shift = 61 - static_cast<int>(msb(x)) + static_cast<int>(msb(y));
  if (shift > 0)
    x <<= static_cast<unsigned>(shift);
  else
    y <<= static_cast<unsigned>(-shift);
  const Integer q = x / y;
  const std::uint64_t bits = q.convert_to<std::uint64_t>() | (q * y != x ? 1U : 0U);
  return std::ldexp(static_cast<double>(bits), -shift) * ((a < 0) != (b < 0) ? -1 : 1);
}

double to_double(const Integer& n) { return divide(n, 1); }

Value integer_of(double d, Budget& budget) {
  if (std::abs(d) < 9.2e18) return Value::integer(static_cast<std::int64_t>(d));
  return integer_value(Integer(std::trunc(d)), budget);
}

std::optional<Value> parse_integer(std::string_view s, int base, Budget& budget) {
  if (base != 0 && (base < 2 || base > 36)) fault("int() base must be >= 2 and <= 36, or 0");
  budget.scan(s.size());
  auto text = plain(s);
  if (!text) return std::nullopt;
  const bool negative = text->starts_with('-');
  if (negative || text->starts_with('+')) text->erase(0, 1);
  const int prefix = prefix_base(*text);
  const bool prefixed = prefix != 0 && (base == 0 || base == prefix);
  if (prefixed) text->erase(0, 2);
  const bool leading_zero = base == 0 && !prefixed && text->starts_with('0');
  if (base == 0) base = prefixed ? prefix : 10;
  if (!take_underscores(*text, prefixed) || text->empty()) return std::nullopt;
  if (std::ranges::any_of(*text, [&](char c) { return digit_value(c) >= base; })) return std::nullopt;
  if (leading_zero && text->find_first_not_of('0') != std::string::npos) return std::nullopt;
  if (text->size() > kMaxDigits) fault("an integer of more than {} digits", kMaxDigits);
  budget.step(text->size() * text->size() / 4096);
  if (text->size() <= 11) return Value::integer(std::stoll(*text, nullptr, base) * (negative ? -1 : 1));
  Integer n = 0;
  for (const char c : *text) n = n * base + digit_value(c);
  return integer_value(negative ? Integer(-n) : n, budget);
}

std::optional<double> parse_float(std::string_view s, Budget& budget) {
  budget.scan(s.size());
  auto text = plain(s);
  if (!text || !take_underscores(*text, false)) return std::nullopt;
  std::string_view t = *text;
  if (t.starts_with('+')) t.remove_prefix(1);
  if (t.empty() || t == "-" || (t.size() < text->size() && t.starts_with('-'))) return std::nullopt;
  double d = 0;
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), d);
  if (end != t.data() + t.size() || end[-1] == ')') return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(std::string(t).c_str(), nullptr);
  if (error != std::errc{}) return std::nullopt;
  return d;
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer{};
  char* const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), d, std::chars_format::scientific).ptr;
  const std::string text(buffer.data(), end);
  const std::size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  std::string digits = text.substr(0, e);
  const std::string sign = digits.starts_with('-') ? "-" : "";
  std::erase_if(digits, [](char c) { return c == '-' || c == '.'; });

  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    const std::string mantissa = n > 1 ? digits.substr(0, 1) + "." + digits.substr(1) : digits;
    return sign + mantissa + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent) - 1, '0') + digits;
  if (n <= exponent + 1)
    return sign + digits + std::string(static_cast<std::size_t>(exponent) + 1 - digits.size(), '0') + ".0";
  const auto point = static_cast<std::size_t>(exponent) + 1;
  return sign + digits.substr(0, point) + "." + digits.substr(point);
}

double round_float(double d, std::int64_t digits) {
  if (!std::isfinite(d) || digits > 323) return d;
  if (digits < -308) return std::copysign(0.0, d);
  if (digits >= 0) return std::strtod(fmt::format("{:.{}f}", d, digits).c_str(), nullptr);
  // Whole numbers: exact in integers.
  Integer unit = 1;
  for (std::int64_t i = digits; i < 0; ++i) unit *= 10;
  const double whole = std::trunc(std::abs(d));
  const Integer n(whole);
  Integer q = n / unit;
  const Integer twice = (n - q * unit) * 2;
  const bool more = std::abs(d) > whole;
  if (twice > unit || (twice == unit && (more || q % 2 != 0))) ++q;
  return std::copysign((q * unit).convert_to<double>(), d);
}

}  // namespace sluice::text::jinja
