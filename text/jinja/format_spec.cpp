// format(value, spec): [[fill]align][sign][z][#][0][width][grouping][.precision][type]
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "text/jinja/characters.h"
#include "text/jinja/format.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

constexpr std::int64_t kMaxPrecision = 1000;  // digits of one number

struct Spec {
  std::string fill = " ";
  char align = '\0';  // one of <>=^; 0: the type's own
  char sign = '-';
  bool alternate = false;
  std::int64_t width = 0;
  char grouping = '\0';
  std::int64_t precision = -1;
  char type = '\0';
};

bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

/// Digits at s[i]; -1 if there are none.
std::int64_t digits(std::string_view s, std::size_t& i) {
  std::int64_t n = -1;
  for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i) {
    n = std::max<std::int64_t>(n, 0) * 10 + (s[i] - '0');
    if (n > INT32_MAX) fault("Too many decimal digits in format string");
  }
  return n;
}

Spec parse_spec(std::string_view s, const Value& v) {
  Spec out;
  std::size_t i = 0;
  const std::size_t first = s.empty() ? 0 : character_at(s, 0).length;
  const bool filled = first < s.size() && is_align(s[first]);
  if (filled) {
    out.fill = s.substr(0, first);
    out.align = s[first];
    i = first + 1;
  } else if (!s.empty() && is_align(s[0])) {
    out.align = s[i++];
  }
  const auto accept = [&](std::string_view any) { return i < s.size() && any.find(s[i]) != std::string_view::npos; };
  if (accept("+- ")) out.sign = s[i++];
  if (accept("z")) ++i;
  if (accept("#")) out.alternate = s[i++] == '#';
  if (accept("0")) {
    ++i;
    if (!filled) out.fill = "0";
    if (out.align == '\0' && v.is_number()) out.align = '=';
  }
  out.width = std::max<std::int64_t>(digits(s, i), 0);
  if (accept(",_")) out.grouping = s[i++];
  if (accept(".")) {
    ++i;
    out.precision = digits(s, i);
    if (out.precision < 0) fault("Format specifier missing precision");
  }
  if (i < s.size()) out.type = s[i++];
  if (i < s.size()) fault("Invalid format specifier '{}' for object of type '{}'", s, v.type_name());
  return out;
}

/// Digits of a whole part with separators, at least `width` wide with zeros if asked.
std::string grouped(std::string digits, char separator, std::size_t every, std::size_t width) {
  if (separator == '\0') {
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
  }
  std::string out;
  std::size_t n = 0;
  for (std::size_t i = digits.size(); i > 0 || out.size() < width; ++n) {
    if (n > 0 && n % every == 0) {
      if (i == 0 && out.size() + 1 == width) {  // a separator would stand at the front
        out += '0';
        out.insert(out.end() - 1, separator);
        break;
      }
      out += separator;
    }
    out += i > 0 ? digits[--i] : '0';
  }
  std::ranges::reverse(out);
  return out;
}

/// sign, prefix and number to the width of the spec.
Text place(const Spec& spec, const std::string& sign, std::string digits, const std::string& rest, std::size_t every,
           Budget& b) {
  const std::size_t around = sign.size() + rest.size();
  const auto width = static_cast<std::size_t>(spec.width);
  const bool zeros = spec.align == '=' && spec.fill == "0";
  b.memory(width + digits.size() * 2 + around);
  const std::string number =
      grouped(std::move(digits), spec.grouping, every, zeros && width > around ? width - around : 0) + rest;
  if (spec.align == '=') {
    TextBuilder out(b);
    out.add(sign);
    const std::size_t have = sign.size() + number.size();
    out.repeat(Text{.bytes = spec.fill}, width > have ? width - have : 0);
    out.add(number);
    return out.take();
  }
  const Align align = spec.align == '<' ? Align::left : spec.align == '^' ? Align::middle : Align::right;
  const Text fill{.bytes = spec.fill};
  return pad_text(Text{.bytes = sign + number}, spec.width, &fill, align, b);
}

std::string sign_of(bool negative, char flag) { return negative ? "-" : flag == '-' ? "" : std::string(1, flag); }

/// As %g, but whole numbers keep a digit behind the point, and what needs all of the precision has an exponent.
std::string general(double d, std::int64_t precision) {
  std::string text = format_float(d, 'e', precision - 1, false);
  const std::size_t e = text.find('e');
  if (!std::isfinite(d)) return text;
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent >= -4 && exponent < precision - 1) {
    text = format_float(d, 'g', precision, false);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  std::string mantissa = text.substr(0, e);
  if (mantissa.find('.') != std::string::npos) {
    mantissa.erase(mantissa.find_last_not_of('0') + 1);
    if (mantissa.ends_with('.')) mantissa.pop_back();
  }
  return mantissa + text.substr(e);
}

Text format_real(double d, const Spec& spec, Budget& b) {
  const char type = spec.type;
  const bool percent = type == '%';
  if (type != '\0' && std::string_view("eEfFgGn%").find(type) == std::string_view::npos)
    fault("Unknown format code '{}' for object of type 'float'", type);
  std::string text;
  if (type == '\0' && spec.precision < 0) {
    text = float_repr(std::abs(d));
  } else if (type == '\0') {
    text = general(std::abs(d), std::max<std::int64_t>(spec.precision, 1));
  } else {
    text = format_float(std::abs(percent ? d * 100 : d),
                        percent       ? 'f'
                        : type == 'n' ? 'g'
                                      : type,
                        spec.precision < 0 ? 6 : spec.precision, spec.alternate);
  }
  std::size_t whole = 0;
  while (whole < text.size() && text[whole] >= '0' && text[whole] <= '9') ++whole;
  if (!std::isfinite(d)) whole = text.size();
  Spec finite = spec;
  if (!std::isfinite(d)) finite.grouping = '\0';
  return place(finite, sign_of(std::signbit(d) && !std::isnan(d), spec.sign), text.substr(0, whole),
               text.substr(whole) + (percent ? "%" : ""), 3, b);
}

Text format_integer(const Value& v, const Spec& spec, Budget& b) {
  if (std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type != '\0')
    return format_real(*v.as_double(), spec, b);
  if (spec.precision >= 0) fault("Precision not allowed in integer format specifier");
  if (spec.type == 'c') {
    if (!v.as_int() || *v.as_int() < 0 || *v.as_int() > 0x10FFFF) fault("%c arg not in range(0x110000)");
    std::string c;
    append_character(c, static_cast<char32_t>(*v.as_int()));
    const Text fill{.bytes = spec.fill};
    return pad_text(Text{.bytes = c}, spec.width, &fill,
                    spec.align == '>'   ? Align::right
                    : spec.align == '^' ? Align::middle
                                        : Align::left,
                    b);
  }
  const Integer n = to_integer(v);
  unsigned base = 10;
  std::string prefix;
  switch (spec.type) {
    case 'b':
      base = 2;
      prefix = "0b";
      break;
    case 'o':
      base = 8;
      prefix = "0o";
      break;
    case 'x':
    case 'X':
      base = 16;
      prefix = spec.type == 'x' ? "0x" : "0X";
      break;
    case 'd':
    case 'n':
    case '\0':
      break;
    default:
      fault("Unknown format code '{}' for object of type 'int'", spec.type);
  }
  if (base != 10 && spec.grouping == ',') fault("Cannot specify ',' with '{}'.", spec.type);
  std::string digits = integer_digits(n, base);
  if (spec.type == 'X')
    std::ranges::transform(digits, digits.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return place(spec, sign_of(n < 0, spec.sign) + (spec.alternate ? prefix : ""), std::move(digits), "",
               base == 10 ? 3 : 4, b);
}

Text format_string(const Text& s, const Spec& spec, Budget& b) {
  if (spec.type != '\0' && spec.type != 's') fault("Unknown format code '{}' for object of type 'str'", spec.type);
  if (spec.sign != '-') fault("Sign not allowed in string format specifier");
  if (spec.align == '=') fault("'=' alignment not allowed in string format specifier");
  if (spec.alternate) fault("Alternate form (#) not allowed in string format specifier");
  if (spec.grouping != '\0') fault("Cannot specify '{}' with 's'.", spec.grouping);
  b.memory(s.size());
  const Text cut = spec.precision < 0 ? s : piece(s, 0, byte_of(s.bytes, static_cast<std::size_t>(spec.precision)));
  const Text fill{.bytes = spec.fill};
  return pad_text(cut, spec.width, &fill,
                  spec.align == '>'   ? Align::right
                  : spec.align == '^' ? Align::middle
                                      : Align::left,
                  b);
}

}  // namespace

std::string format_float(double d, char type, std::int64_t precision, bool alternate) {
  const bool big = type == 'E' || type == 'F' || type == 'G';
  if (std::isnan(d)) return big ? "NAN" : "nan";
  if (std::isinf(d)) return fmt::format("{}{}", d < 0 ? "-" : "", big ? "INF" : "inf");
  if (precision > kMaxPrecision) fault("a number is formatted with at most {} digits", kMaxPrecision);
  std::array<char, 1400> buffer{};  // 309 digits before the point, kMaxPrecision behind it
  const std::array<char, 7> format = {'%', alternate ? '#' : '-', '.', '*', type, '\0'};
  // NOLINTNEXTLINE: the format is put together above, from a closed set
  const int n = std::snprintf(buffer.data(), buffer.size(), format.data(), static_cast<int>(precision), d);
  return {buffer.data(), static_cast<std::size_t>(std::max(n, 0))};
}

Text pad_text(const Text& s, std::int64_t width, const Text* fill, Align align, Budget& budget) {
  const Text space{.bytes = " "};
  if (fill == nullptr) fill = &space;
  budget.scan(s.size());
  if (character_count(fill->bytes) != 1) fault("The fill character must be exactly one character long");
  const auto n = static_cast<std::int64_t>(character_count(s.bytes));
  const std::int64_t pad = std::max<std::int64_t>(0, width - n);
  std::int64_t left = align == Align::right ? pad : 0;
  if (align == Align::middle) left = pad / 2;
  if (align == Align::center) left = pad / 2 + (pad & width & 1);
  TextBuilder out(budget);
  out.repeat(*fill, static_cast<std::size_t>(left));
  out.add(s);
  out.repeat(*fill, static_cast<std::size_t>(pad - left));
  return out.take();
}

Text format_value(const Value& v, std::string_view spec, Budget& budget) {
  if (spec.empty()) return to_text(v, budget);
  if (!v.is_number() && v.str() == nullptr) fault("unsupported format string passed to {}.__format__", v.type_name());
  const Spec parsed = parse_spec(spec, v);
  if (v.str() != nullptr) return format_string(*v.str(), parsed, budget);
  return v.is<double>() ? format_real(*v.get<double>(), parsed, budget) : format_integer(v, parsed, budget);
}

}  // namespace sluice::text::jinja
