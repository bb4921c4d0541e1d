#include "text/jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/typed_specials.h"
#include "text/unicode/unicode.h"

namespace sluice::text::jinja {

namespace {

/// The character at the front of a non-empty string. Ill-formed bytes come one by one.
Utf8Step front(std::string_view s) {
  Utf8Step step = utf8_step(s);
  if (step.length == 0) step.length = 1;
  return step;
}

template <class F>
void each_character(std::string_view s, F f) {
  while (!s.empty()) {
    const Utf8Step step = front(s);
    f(step.code_point, s.substr(0, step.length));
    s.remove_prefix(step.length);
  }
}

void append_upper(std::string& out, char32_t c, std::string_view bytes) {
  if (bytes.front() == kTypedMark)
    out += bytes;
  else if (c == U'\u00DF')
    out += "SS";  // the one common letter whose upper case is longer
  else
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
}

bool is_letter(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return false;
  }
}

bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == U' ';
    default:
      return true;
  }
}

bool stripped(std::string_view c, std::optional<std::string_view> chars) {
  return chars ? chars->find(c) != std::string_view::npos : is_py_space(front(c).code_point);
}

std::vector<std::string_view> split_spaces(std::string_view s, std::int64_t maxsplit) {
  std::vector<std::string_view> out;
  for (s = strip(s, Side::left); !s.empty(); s = strip(s, Side::left)) {
    if (maxsplit >= 0 && std::ssize(out) == maxsplit) {
      out.push_back(s);
      break;
    }
    std::size_t n = 0;
    while (n < s.size()) {
      const Utf8Step c = front(s.substr(n));
      if (is_py_space(c.code_point)) break;
      n += c.length;
    }
    out.push_back(s.substr(0, n));
    s.remove_prefix(n);
  }
  return out;
}

std::vector<std::string_view> rsplit_spaces(std::string_view s, std::int64_t maxsplit) {
  std::vector<std::string_view> out;
  for (s = strip(s, Side::right); !s.empty(); s = strip(s, Side::right)) {
    if (maxsplit >= 0 && std::ssize(out) == maxsplit) {
      out.push_back(s);
      break;
    }
    std::size_t begin = s.size();
    while (begin > 0) {
      const std::size_t i = utf8_last_start(s.substr(0, begin));
      if (is_py_space(front(s.substr(i)).code_point)) break;
      begin = i;
    }
    out.push_back(s.substr(begin));
    s = s.substr(0, begin);
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace

std::size_t character_count(std::string_view s) noexcept {
  // A mark belongs to the character it follows.
  const bool alone = s.starts_with(kTypedMark);
  return (alone ? 1 : 0) + static_cast<std::size_t>(std::ranges::count_if(s, [](char c) {
           return (static_cast<unsigned char>(c) & 0xC0) != 0x80 && c != kTypedMark;
         }));
}

std::vector<std::string_view> characters(std::string_view s, Budget& budget) {
  std::vector<std::string_view> out;
  const std::size_t n = character_count(s);
  budget.memory(n * sizeof(std::string_view));
  out.reserve(n);
  each_character(s, [&](char32_t, std::string_view bytes) {
    if (bytes.front() == kTypedMark && !out.empty())
      out.back() = {out.back().data(), out.back().size() + 1};
    else
      out.push_back(bytes);
  });
  return out;
}

bool is_py_space(char32_t c) noexcept { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip(std::string_view s, Side side, std::optional<std::string_view> chars) {
  if (side != Side::right)
    while (!s.empty()) {
      const std::size_t n = front(s).length;
      if (!stripped(s.substr(0, n), chars)) break;
      s.remove_prefix(n);
    }
  if (side != Side::left)
    while (!s.empty()) {
      const std::size_t i = utf8_last_start(s);
      if (!stripped(s.substr(i), chars)) break;
      s = s.substr(0, i);
    }
  return s;
}

std::vector<std::string_view> split(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit) {
  if (!sep) return split_spaces(s, maxsplit);
  std::vector<std::string_view> out;
  while (maxsplit < 0 || std::ssize(out) < maxsplit) {
    const std::size_t at = s.find(*sep);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(0, at));
    s.remove_prefix(at + sep->size());
  }
  out.push_back(s);
  return out;
}

std::vector<std::string_view> rsplit(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit) {
  if (!sep) return rsplit_spaces(s, maxsplit);
  std::vector<std::string_view> out;
  while (maxsplit < 0 || std::ssize(out) < maxsplit) {
    const std::size_t at = s.rfind(*sep);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(at + sep->size()));
    s = s.substr(0, at);
  }
  out.push_back(s);
  std::ranges::reverse(out);
  return out;
}

std::vector<std::string_view> splitlines(std::string_view s) {
  const auto breaks = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
  };
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < s.size();) {
    const Utf8Step c = front(s.substr(i));
    std::size_t next = i + c.length;
    if (breaks(c.code_point)) {
      out.push_back(s.substr(begin, i - begin));
      if (c.code_point == U'\r' && next < s.size() && s[next] == '\n') ++next;
      begin = next;
    }
    i = next;
  }
  if (begin < s.size()) out.push_back(s.substr(begin));
  return out;
}

std::string replace(std::string_view s, std::string_view from, std::string_view to, std::int64_t count,
                    Budget& budget) {
  budget.search(s.size(), from.size());
  std::string out;
  const auto add = [&](std::string_view piece) {
    budget.memory(piece.size());
    out += piece;
  };
  if (from.empty()) {  // Python puts `to` before every character and at the end
    for (; count != 0 && !s.empty(); --count) {
      const std::size_t n = front(s).length;
      add(to);
      add(s.substr(0, n));
      s.remove_prefix(n);
    }
    if (count != 0) add(to);
    add(s);
    return out;
  }
  for (; count != 0; --count) {
    const std::size_t at = s.find(from);
    if (at == std::string_view::npos) break;
    add(s.substr(0, at));
    add(to);
    s.remove_prefix(at + from.size());
  }
  add(s);
  return out;
}

std::string upper(std::string_view s) {
  std::string out;
  each_character(s, [&](char32_t c, std::string_view bytes) { append_upper(out, c, bytes); });
  return out;
}

std::string lower(std::string_view s) {
  std::string out;
  for (std::size_t mark = s.find(kTypedMark); mark != std::string_view::npos; mark = s.find(kTypedMark)) {
    (out += to_lower(s.substr(0, mark))) += kTypedMark;
    s.remove_prefix(mark + 1);
  }
  return out += to_lower(s);
}

std::string capitalize(std::string_view s) {
  if (s.empty()) return {};
  const std::size_t n = front(s).length;
  return upper(s.substr(0, n)) + lower(s.substr(n));
}

std::string title(std::string_view s) {
  std::string out;
  bool inside = false;
  each_character(s, [&](char32_t c, std::string_view bytes) {
    if (inside)
      out += lower(bytes);
    else
      append_upper(out, c, bytes);
    inside = is_letter(c);
  });
  return out;
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  std::string text(buffer, end);
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

std::string string_repr(std::string_view s) {
  const bool single = s.find('\'') == std::string_view::npos || s.find('"') != std::string_view::npos;
  const char quote = single ? '\'' : '"';
  std::string out(1, quote);
  each_character(s, [&](char32_t c, std::string_view bytes) {
    if (c == static_cast<char32_t>(quote) || c == U'\\')
      (out += '\\') += bytes;
    else if (c == U'\n')
      out += "\\n";
    else if (c == U'\r')
      out += "\\r";
    else if (c == U'\t')
      out += "\\t";
    else if (is_printable(c))
      out += bytes;
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c));
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    else
      out += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(c));
  });
  return out + quote;
}

}  // namespace sluice::text::jinja
