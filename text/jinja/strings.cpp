#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

bool stripped(std::string_view s, std::size_t i, std::size_t n, std::optional<std::string_view> chars) {
  return chars ? chars->find(s.substr(i, n)) != std::string_view::npos : is_py_space(character_at(s, i).code);
}

void split_spaces(std::string_view s, std::int64_t maxsplit, const TakeSpan& take) {
  std::size_t at = strip(s, Side::left).begin;
  for (std::int64_t n = 0; at < s.size(); ++n) {
    if (maxsplit >= 0 && n == maxsplit) return take({at, s.size()});
    std::size_t end = at;
    while (end < s.size()) {
      const Character c = character_at(s, end);
      if (is_py_space(c.code)) break;
      end += c.length;
    }
    take({at, end});
    at = end + strip(s.substr(end), Side::left).begin;
  }
}

void rsplit_spaces(std::string_view s, std::int64_t maxsplit, const TakeSpan& take) {
  std::size_t end = strip(s, Side::right).end;
  for (std::int64_t n = 0; end > 0; ++n) {
    if (maxsplit >= 0 && n == maxsplit) return take({0, end});
    std::size_t begin = end;
    while (begin > 0) {
      const std::size_t i = last_character(s.substr(0, begin));
      if (is_py_space(character_at(s, i).code)) break;
      begin = i;
    }
    take({begin, end});
    end = strip(s.substr(0, begin), Side::right).end;
  }
}

bool breaks_line(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::string_view entity(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '\'':
      return "&#39;";
    case '"':
      return "&#34;";
    default:
      return {};
  }
}

std::string escaped(char32_t c, std::string_view bytes, char32_t quote, bool ascii) {
  if (c == quote || c == U'\\') return "\\" + std::string(bytes);
  if (c == U'\n') return "\\n";
  if (c == U'\r') return "\\r";
  if (c == U'\t') return "\\t";
  if (ascii ? c < 0x7F && c >= 0x20 : !has(Property::unprintable, c)) return std::string(bytes);
  const auto u = static_cast<std::uint32_t>(c);
  if (u < 0x100) return fmt::format("\\x{:02x}", u);
  return u < 0x10000 ? fmt::format("\\u{:04x}", u) : fmt::format("\\U{:08x}", u);
}

}  // namespace

Span strip(std::string_view s, Side side, std::optional<std::string_view> chars) {
  Span out{0, s.size()};
  while (side != Side::right && out.begin < out.end) {
    const std::size_t n = character_at(s, out.begin).length;
    if (!stripped(s, out.begin, n, chars)) break;
    out.begin += n;
  }
  while (side != Side::left && out.begin < out.end) {
    const std::size_t i = last_character(s.substr(0, out.end));
    if (!stripped(s, i, out.end - i, chars)) break;
    out.end = i;
  }
  return out;
}

void split(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit, const TakeSpan& take) {
  if (!sep) return split_spaces(s, maxsplit, take);
  std::size_t at = 0;
  for (std::int64_t n = 0; maxsplit < 0 || n < maxsplit; ++n) {
    const std::size_t found = s.find(*sep, at);
    if (found == std::string_view::npos) break;
    take({at, found});
    at = found + sep->size();
  }
  take({at, s.size()});
}

void rsplit(std::string_view s, std::optional<std::string_view> sep, std::int64_t maxsplit, const TakeSpan& take) {
  if (!sep) return rsplit_spaces(s, maxsplit, take);
  std::size_t end = s.size();
  for (std::int64_t n = 0; maxsplit < 0 || n < maxsplit; ++n) {
    const std::size_t found = s.substr(0, end).rfind(*sep);
    if (found == std::string_view::npos) break;
    take({found + sep->size(), end});
    end = found;
  }
  take({0, end});
}

void splitlines(std::string_view s, bool keep_ends, const TakeSpan& take) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s, i);
    std::size_t next = i + c.length;
    if (breaks_line(c.code)) {
      if (c.code == U'\r' && next < s.size() && s[next] == '\n') ++next;
      take({begin, keep_ends ? next : i});
      begin = next;
    }
    i = next;
  }
  if (begin < s.size()) take({begin, s.size()});
}

Text replace(const Text& s, std::string_view from, const Text& to, std::int64_t count, Budget& budget) {
  budget.search(s.size(), from.size());
  TextBuilder out(budget);
  std::size_t at = 0;
  if (from.empty()) {  // Python puts `to` before every character and at the end
    for (; count != 0 && at < s.size(); --count) {
      const std::size_t n = character_at(s.bytes, at).length;
      out.add(to);
      out.add(s, at, at + n);
      at += n;
    }
    if (count != 0) out.add(to);
  }
  for (; !from.empty() && count != 0; --count) {
    const std::size_t found = s.bytes.find(from, at);
    if (found == std::string::npos) break;
    out.add(s, at, found);
    out.add(to);
    at = found + from.size();
  }
  out.add(s, at, s.size());
  return out.take();
}

Text escape(const Text& s, Budget& budget) {
  Text result;
  if (s.markup) {
    budget.memory(s.size());
    result = s;
  } else {
    TextBuilder out(budget);
    std::size_t done = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const std::string_view e = entity(s.bytes[i]);
      if (e.empty()) continue;
      out.add(s, done, i);
      budget.memory(e.size());
      out.put(e, s.origin.typed_at(i));
      done = i + 1;
    }
    out.add(s, done, s.size());
    result = out.take();
  }
  result.markup = true;
  return result;
}

Text string_repr(const Text& s, Budget& budget, bool ascii) {
  const bool single = s.bytes.find('\'') == std::string::npos || s.bytes.find('"') != std::string::npos;
  const char quote = single ? '\'' : '"';
  TextBuilder out(budget);
  if (s.markup) out.add("Markup(");
  out.add(std::string_view(&quote, 1));
  std::size_t done = 0;  // what needs no escape is copied in one piece
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s.bytes, i);
    const std::string_view bytes = std::string_view(s.bytes).substr(i, c.length);
    if (c.code < 0x20 || c.code >= 0x7F || c.code == U'\\' || c.code == static_cast<char32_t>(quote)) {
      const std::string e = escaped(c.code, bytes, static_cast<char32_t>(quote), ascii);
      if (e != bytes) {
        out.add(s, done, i);
        budget.memory(e.size());
        out.put(e, s.origin.typed_at(i));
        done = i + c.length;
      }
    }
    i += c.length;
  }
  out.add(s, done, s.size());
  out.add(std::string_view(&quote, 1));
  if (s.markup) out.add(")");
  return out.take();
}

}  // namespace sluice::text::jinja
