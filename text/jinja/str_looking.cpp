// Methods of str that look into it.
#include <algorithm>

#include "text/jinja/methods.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

/// The bytes that `start` and `end` (parameters i and i + 1, in characters) leave of a text; null if it starts behind
/// its end.
std::optional<Span> within(const Text& s, const Params& p, std::size_t i, Budget& b) {
  b.scan(s.size());
  if (p.some(i) == nullptr && p.some(i + 1) == nullptr) return Span{0, s.size()};
  const auto n = static_cast<std::int64_t>(character_count(s.bytes));
  const auto bound = [&](std::size_t k, std::int64_t fallback) {
    const std::int64_t at = p.some(k) != nullptr ? p.integer(k, 0) : fallback;
    return at < 0 ? std::max<std::int64_t>(at + n, 0) : at;
  };
  const std::int64_t start = bound(i, 0);
  const std::int64_t end = std::min(bound(i + 1, n), n);
  if (start > end) return std::nullopt;
  return Span{byte_of(s.bytes, static_cast<std::size_t>(start)), byte_of(s.bytes, static_cast<std::size_t>(end))};
}

std::string_view of(const Text& s, Span span) {
  return std::string_view(s.bytes).substr(span.begin, span.end - span.begin);
}

/// The character at which `sub` is found, or -1.
std::int64_t found(const Text& s, const Params& p, Budget& b, bool backwards) {
  const Text& sub = p.need_text(0);
  const auto span = within(s, p, 1, b);
  if (!span) return -1;
  b.search(s.size(), sub.size());
  const std::size_t at = backwards ? of(s, *span).rfind(sub.bytes) : of(s, *span).find(sub.bytes);
  if (at == std::string::npos) return -1;
  return static_cast<std::int64_t>(character_count(std::string_view(s.bytes).substr(0, span->begin + at)));
}

template <bool backwards>
Value find_in(const Value& self, const Args& args, Budget& b) {
  return Value::integer(
      found(*self.str(), Params(backwards ? "rfind" : "find", args, {"sub", "start", "end"}), b, backwards));
}

template <bool backwards>
Value index_in(const Value& self, const Args& args, Budget& b) {
  const std::int64_t at =
      found(*self.str(), Params(backwards ? "rindex" : "index", args, {"sub", "start", "end"}), b, backwards);
  if (at < 0) fault("substring not found");
  return Value::integer(at);
}

Value count_in(const Value& self, const Args& args, Budget& b) {
  const Params p("count", args, {"sub", "start", "end"});
  const Text& sub = p.need_text(0);
  const auto span = within(*self.str(), p, 1, b);
  if (!span) return Value::integer(0);
  const std::string_view s = of(*self.str(), *span);
  b.search(s.size(), sub.size());
  if (sub.empty()) return Value::count(character_count(s) + 1);
  std::int64_t n = 0;
  for (std::size_t at = s.find(sub.bytes); at != std::string::npos; at = s.find(sub.bytes, at + sub.size())) ++n;
  return Value::integer(n);
}

/// startswith and endswith take a string or a tuple of them.
template <bool at_end>
Value has_affix(const Value& self, const Args& args, Budget& b) {
  const Params p(at_end ? "endswith" : "startswith", args, {"prefix", "start", "end"});
  const Value& affix = p.need(0);
  refuse_undefined(affix);
  const auto matches = [&](const Value& v) {
    if (v.str() == nullptr)
      fault("{} first arg must be str or a tuple of str, not {}", at_end ? "endswith" : "startswith", v.type_name());
    b.scan(v.str()->size());
    const auto span = within(*self.str(), p, 1, b);
    if (!span) return false;
    const std::string_view s = of(*self.str(), *span);
    return at_end ? s.ends_with(v.str()->bytes) : s.starts_with(v.str()->bytes);
  };
  if (affix.is_tuple()) return Value::boolean(std::ranges::any_of(affix.list()->items, matches));
  return Value::boolean(matches(affix));
}

/// Holds for every character, and there is one.
template <bool (*F)(char32_t)>
Value every(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {});
  const std::string& s = self.str()->bytes;
  b.step(1 + s.size() / 8);
  bool all = !s.empty();
  for (std::size_t i = 0; all && i < s.size();) {
    const Character c = character_at(s, i);
    all = F(c.code);
    i += c.length;
  }
  return Value::boolean(all);
}

bool printable(char32_t c) { return !has(Property::unprintable, c); }
bool alnum(char32_t c) { return has(Property::alpha, c) || has(Property::numeric, c); }

template <bool (*F)(std::string_view)>
Value whole(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {});
  b.step(1 + self.str()->size() / 8);
  return Value::boolean(F(self.str()->bytes));
}

bool all_ascii(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

template <Property P>
bool property(char32_t c) {
  return has(P, c);
}

}  // namespace

const Methods& str_looking() {
  static const Methods kMethods = {
      {"find", find_in<false>},
      {"rfind", find_in<true>},
      {"index", index_in<false>},
      {"rindex", index_in<true>},
      {"count", count_in},
      {"startswith", has_affix<false>},
      {"endswith", has_affix<true>},
      {"isalpha", every<property<Property::alpha>>},
      {"isdecimal", every<property<Property::decimal>>},
      {"isdigit", every<property<Property::digit>>},
      {"isnumeric", every<property<Property::numeric>>},
      {"isalnum", every<alnum>},
      {"isspace", every<is_py_space>},
      {"isascii", whole<all_ascii>},
      {"islower", whole<is_lower>},
      {"isupper", whole<is_upper>},
      {"istitle", whole<is_title>},
      {"isprintable",
       [](const Value& self, const Args& args, Budget& b) {
         if (self.str()->empty()) return Value::boolean(true);
         return every<printable>(self, args, b);
       }},
  };
  return kMethods;
}

}  // namespace sluice::text::jinja
