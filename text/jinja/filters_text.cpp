// Filters that make texts.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/dict.h"
#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/methods.h"
#include "text/jinja/strings.h"
#include "text/jinja/tojson.h"

namespace sluice::text::jinja {

namespace {

Value text(Text t, Budget& b) { return Value::string(std::move(t), b); }
Value soft(const Value& v, Budget& b) { return v.str() != nullptr ? v : text(soft_text(v, b), b); }

template <Text (*F)(const Text&, Budget&)>
Value mapped(const Value& v, const Args& args, Budget& b) {
  const Params p("filter", args, {});
  return text(F(*soft(v, b).str(), b), b);
}

/// Jinja's own title: words begin after white space or one of -({[<.
Value title_words(const Value& v, const Args& args, Budget& b) {
  const Params p("title", args, {});
  const Value held = soft(v, b);
  const Text& s = *held.str();
  TextBuilder out(b);
  const auto word = [&](std::size_t begin, std::size_t end) {
    if (begin == end) return;
    const std::size_t first = begin + character_at(s.bytes, begin).length;
    out.add(upper(piece(s, begin, first), b));
    out.add(lower(piece(s, first, end), b));
  };
  std::size_t begin = 0;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s.bytes, i);
    const bool between =
        is_py_space(c.code) || (c.code < 0x80 && std::string_view("-({[<").find(static_cast<char>(c.code)) < 5);
    if (between) {
      word(begin, i);
      out.add(s, i, i + c.length);
      begin = i + c.length;
    }
    i += c.length;
  }
  word(begin, s.size());
  return text(out.take(), b);
}

Value escape_filter(const Value& v, const Args&, Budget& b) { return text(escape(soft_text(v, b), b), b); }
Value force_escape(const Value& v, const Args&, Budget& b) { return text(escape(to_text(v, b), b), b); }

Value safe(const Value& v, const Args&, Budget& b) {
  Text t = to_text(v, b);
  t.markup = true;
  return text(std::move(t), b);
}

Value indent(const Value& v, const Args& args, Budget& b) {
  const Params p("indent", args, {"width", "first", "blank"});
  refuse_undefined(v);
  if (v.str() == nullptr) fault("unsupported operand type(s) for +=: '{}' and 'str'", v.type_name());
  const Text& s = *v.str();
  const Text spaces{.bytes = " "};
  TextBuilder by(b);
  if (p.get(0) != nullptr && p.get(0)->str() != nullptr)
    by.add(s.markup ? escape(*p.get(0)->str(), b) : *p.get(0)->str());
  else
    by.repeat(spaces, static_cast<std::size_t>(std::max<std::int64_t>(0, p.integer(0, 4))));
  const Text indention = by.take();
  TextBuilder out(b);
  bool first = true;
  TextBuilder with_newline(b);
  with_newline.add(s);
  with_newline.add("\n");
  const Text lines = with_newline.take();
  splitlines(lines.bytes, false, [&](Span span) {
    b.step();
    if (!first) out.add("\n");
    if (first ? p.flag(1, false) : p.flag(2, false) || span.begin < span.end) out.add(indention);
    out.add(lines, span.begin, span.end);
    first = false;
  });
  Text t = out.take();
  t.markup = s.markup;
  return text(std::move(t), b);
}

Value trim(const Value& v, const Args& args, Budget& b) {
  const Params p("trim", args, {"chars"});
  const Value s = soft(v, b);
  return find_method(s, "strip")
      .method(s, args.positional.empty() && args.keyword.empty() ? Args{} : Args{{*p.get(0)}}, b);
}

Value replaced(const Value& v, const Args& args, Budget& b) {
  const Params p("replace", args, {"old", "new", "count"});
  const Text from = to_text(p.need(0), b);
  return text(
      replace(to_text(v, b), from.bytes, to_text(p.need(1), b), p.some(2) != nullptr ? p.integer(2, -1) : -1, b), b);
}

Value center(const Value& v, const Args& args, Budget& b) {
  const Params p("center", args, {"width"});
  const Value s = soft(v, b);
  Text t = pad_text(*s.str(), p.integer(0, 80), nullptr, Align::center, b);
  t.markup = s.is_markup();
  return text(std::move(t), b);
}

Value format_filter(const Value& v, const Args& args, Budget& b) {
  if (!args.positional.empty() && !args.keyword.empty())
    fault("can't handle positional and keyword arguments at the same time");
  const Value s = soft(v, b);
  if (args.keyword.empty())
    return text(percent_format(*s.str(), Value::list(args.positional, b, ListKind::tuple), b), b);
  Dict d;
  for (const auto& [name, value] : args.keyword) d.set(name, value, b);
  return text(percent_format(*s.str(), Value::dict(std::move(d), b), b), b);
}

Value truncate(const Value& v, const Args& args, Budget& b) {
  const Params p("truncate", args, {"length", "killwords", "end", "leeway"});
  const std::int64_t length_wanted = p.integer(0, 255);
  const Text dots{.bytes = "..."};
  const Text& end = p.text(2) != nullptr ? *p.text(2) : dots;
  const std::int64_t leeway = p.some(3) != nullptr ? p.integer(3, 5) : 5;
  const auto tail = static_cast<std::int64_t>(character_count(end.bytes));
  if (length_wanted < tail) fault("expected length >= {}, got {}", tail, length_wanted);
  if (leeway < 0) fault("expected leeway >= 0, got {}", leeway);
  if (length(v, b) <= length_wanted + leeway) return v;
  if (v.str() == nullptr) fault("truncate needs a string, not {}", v.type_name());
  const Text& s = *v.str();
  std::size_t cut = byte_of(s.bytes, static_cast<std::size_t>(length_wanted - tail));
  if (!p.flag(1, false))
    if (const std::size_t space = std::string_view(s.bytes).substr(0, cut).rfind(' '); space != std::string::npos)
      cut = space;
  TextBuilder out(b);
  out.add(s, 0, cut);
  out.add(s.markup ? escape(end, b) : end);
  Text t = out.take();
  t.markup = s.markup;
  return text(std::move(t), b);
}

Value wordcount(const Value& v, const Args&, Budget& b) {
  const Value held = soft(v, b);
  const std::string& s = held.str()->bytes;
  b.step(1 + s.size() / 8);
  std::int64_t n = 0;
  bool inside = false;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s, i);
    const bool word = c.code == U'_' || has(Property::alpha, c.code) || has(Property::numeric, c.code);
    n += word && !inside ? 1 : 0;
    inside = word;
    i += c.length;
  }
  return Value::integer(n);
}

void quote_url(const Text& t, bool in_query, TextBuilder& out) {
  for (std::size_t i = 0; i < t.size(); ++i) {
    const auto c = static_cast<unsigned char>(t.bytes[i]);
    const bool plain = (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '.' || c == '-' || c == '~';
    if (plain || (c == '/' && !in_query))
      out.add(t, i, i + 1);
    else if (c == ' ' && in_query)
      out.add("+");
    else
      out.add(fmt::format("%{:02X}", c));
  }
}

Value urlencode(const Value& v, const Args&, Budget& b) {
  TextBuilder out(b);
  if (v.str() != nullptr || !iterable(v)) {
    quote_url(to_text(v, b), false, out);
    return text(out.take(), b);
  }
  const auto pair = [&](const Value& key, const Value& value) {
    if (out.size() != 0) out.add("&");
    quote_url(to_text(key, b), true, out);
    out.add("=");
    quote_url(to_text(value, b), true, out);
  };
  if (v.dict() != nullptr) {
    for (const auto& [key, value] : v.dict()->items()) pair(key, value);
  } else {
    Cursor items(v, b);
    while (const auto item = items.next()) {
      const auto kv = iterate(*item, b);
      if (kv.size() != 2) fault("urlencode takes pairs, got {} values", kv.size());
      pair(kv[0], kv[1]);
    }
  }
  return text(out.take(), b);
}

Value xmlattr(const Value& v, const Args& args, Budget& b) {
  const Params p("xmlattr", args, {"autospace"});
  refuse_undefined(v);
  if (v.dict() == nullptr) fault("'{}' object has no attribute 'items'", v.type_name());
  TextBuilder out(b);
  for (const auto& [key, value] : v.dict()->items()) {
    if (value.is_none() || value.is_undefined()) continue;
    if (key.str() == nullptr) fault("expected string or bytes-like object, got '{}'", key.type_name());
    if (key.str()->bytes.find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      fault("Invalid character in attribute name: {}", repr(key, b).bytes);
    if (out.size() != 0 || p.flag(0, true)) out.add(" ");
    out.add(escape(*key.str(), b));
    out.add("=\"");
    out.add(escape(soft_text(value, b), b));
    out.add("\"");
  }
  return text(out.take(), b);
}

}  // namespace

const Filters& text_filters() {
  static const Filters kFilters = {
      {"capitalize", mapped<capitalize>},
      {"center", center},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"forceescape", force_escape},
      {"format", format_filter},
      {"indent", indent},
      {"lower", mapped<lower>},
      {"replace", replaced},
      {"safe", safe},
      {"string", [](auto& v, auto&, auto& b) { return soft(v, b); }},
      {"title", title_words},
      {"tojson", to_json},
      {"trim", trim},
      {"truncate", truncate},
      {"upper", mapped<upper>},
      {"urlencode", urlencode},
      {"wordcount", wordcount},
      {"xmlattr", xmlattr},
  };
  return kFilters;
}

}  // namespace sluice::text::jinja
