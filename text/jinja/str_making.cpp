// Methods of str that make another one. Those of Markup give Markup and escape what they are given.
#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/methods.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

Value made(const Value& self, Text t, Budget& b) {
  t.markup = self.is_markup();
  return Value::string(std::move(t), b);
}

Value part(const Value& self, Span span, Budget& b) {
  const Text& s = *self.str();
  if (span.begin == 0 && span.end == s.size()) return self;
  b.memory(span.end - span.begin);
  return Value::string(piece(s, span.begin, span.end), b);
}

std::optional<std::string_view> view(const Text* t) {
  return t != nullptr ? std::optional<std::string_view>(t->bytes) : std::nullopt;
}

template <Side side>
Value strip_side(const Value& self, const Args& args, Budget& b) {
  const Params p("strip", args, {"chars"});
  const Text* chars = p.text(0);
  if (chars != nullptr) b.search(chars->size() > 64 ? self.str()->size() : 0, chars->size());
  const Span span = strip(self.str()->bytes, side, view(chars));
  b.scan(self.str()->size() - (span.end - span.begin));
  return part(self, span, b);
}

template <bool from_right>
Value split_with(const Value& self, const Args& args, Budget& b) {
  const Params p(from_right ? "rsplit" : "split", args, {"sep", "maxsplit"});
  const Text* sep = p.text(0);
  if (sep != nullptr && sep->empty()) fault("empty separator");
  b.search(self.str()->size(), sep != nullptr ? sep->size() : 0);
  std::vector<Value> out;
  const TakeSpan take = [&](Span span) {
    b.step();
    out.push_back(part(self, span, b));
  };
  (from_right ? rsplit : split)(self.str()->bytes, view(sep), p.integer(1, -1), take);
  if (from_right) std::ranges::reverse(out);
  return Value::list(std::move(out), b);
}

Value split_lines(const Value& self, const Args& args, Budget& b) {
  const Params p("splitlines", args, {"keepends"});
  std::vector<Value> out;
  splitlines(self.str()->bytes, p.flag(0, false), [&](Span span) {
    b.step();
    out.push_back(part(self, span, b));
  });
  b.scan(self.str()->size());
  return Value::list(std::move(out), b);
}

template <bool from_right>
Value partition(const Value& self, const Args& args, Budget& b) {
  const Params p(from_right ? "rpartition" : "partition", args, {"sep"});
  const Text& sep = p.need_text(0);
  if (sep.empty()) fault("empty separator");
  const std::string& s = self.str()->bytes;
  b.search(s.size(), sep.size());
  const std::size_t at = from_right ? s.rfind(sep.bytes) : s.find(sep.bytes);
  const auto span = [&](std::size_t begin, std::size_t end) { return part(self, {begin, end}, b); };
  const std::size_t n = s.size();
  std::vector<Value> out;
  if (at != std::string::npos)
    out = {span(0, at), span(at, at + sep.size()), span(at + sep.size(), n)};
  else if (from_right)
    out = {span(0, 0), span(0, 0), self};
  else
    out = {self, span(n, n), span(n, n)};
  return Value::list(std::move(out), b, ListKind::tuple);
}

template <Text (*F)(const Text&, Budget&)>
Value mapped(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {});
  return made(self, F(*self.str(), b), b);
}

Value replace_in(const Value& self, const Args& args, Budget& b) {
  const Params p("replace", args, {"old", "new", "count"});
  const Text& to = p.need_text(1);
  return made(
      self, replace(*self.str(), p.need_text(0).bytes, self.is_markup() ? escape(to, b) : to, p.integer(2, -1), b), b);
}

template <bool at_end>
Value remove_affix(const Value& self, const Args& args, Budget& b) {
  const Params p(at_end ? "removesuffix" : "removeprefix", args, {"affix"});
  const std::string& x = p.need_text(0).bytes;
  const std::string& s = self.str()->bytes;
  b.scan(x.size());
  if (!(at_end ? s.ends_with(x) : s.starts_with(x))) return self;
  return part(self, at_end ? Span{0, s.size() - x.size()} : Span{x.size(), s.size()}, b);
}

template <Align align>
Value padded(const Value& self, const Args& args, Budget& b) {
  const Params p("str method", args, {"width", "fillchar"});
  (void)p.need(0);
  std::optional<Text> fill;
  if (p.text(1) != nullptr) fill = self.is_markup() ? escape(*p.text(1), b) : *p.text(1);
  return made(self, pad_text(*self.str(), p.integer(0, 0), fill ? &*fill : nullptr, align, b), b);
}

Value zero_fill(const Value& self, const Args& args, Budget& b) {
  const Params p("zfill", args, {"width"});
  (void)p.need(0);
  const Text& s = *self.str();
  const bool sign = s.bytes.starts_with('+') || s.bytes.starts_with('-');
  const Text zero{.bytes = "0"};
  const auto n = static_cast<std::int64_t>(character_count(s.bytes));
  b.scan(s.size());
  TextBuilder out(b);
  out.add(s, 0, sign ? 1 : 0);
  out.repeat(zero, static_cast<std::size_t>(std::max<std::int64_t>(0, p.integer(0, 0) - n)));
  out.add(s, sign ? 1 : 0, s.size());
  return made(self, out.take(), b);
}

Value expand_tabs(const Value& self, const Args& args, Budget& b) {
  const Params p("expandtabs", args, {"tabsize"});
  const std::int64_t size = p.integer(0, 8);
  const Text& s = *self.str();
  const Text space{.bytes = " "};
  TextBuilder out(b);
  std::int64_t column = 0;
  for (std::size_t i = 0; i < s.size();) {
    const Character c = character_at(s.bytes, i);
    if (c.code == U'\t') {
      const std::int64_t fill = size > 0 ? size - column % size : 0;
      out.repeat(space, static_cast<std::size_t>(fill));
      column += fill;
    } else {
      out.add(s, i, i + c.length);
      column = c.code == U'\n' || c.code == U'\r' ? 0 : column + 1;
    }
    i += c.length;
  }
  return made(self, out.take(), b);
}

Value join_strings(const Value& self, const Args& args, Budget& b) {
  const Params p("join", args, {"iterable"});
  TextBuilder out(b);
  Cursor items(p.need(0), b);
  for (std::size_t n = 0; const auto v = items.next(); ++n) {
    if (!self.is_markup() && v->str() == nullptr)
      fault("sequence item {}: expected str instance, {} found", n, v->type_name());
    if (n > 0) out.add(*self.str());
    out.add(self.is_markup() ? escape(soft_text(*v, b), b) : *v->str());
  }
  return made(self, out.take(), b);
}

}  // namespace

const Methods& str_making() {
  static const Methods kMethods = {
      {"strip", strip_side<Side::both>},
      {"lstrip", strip_side<Side::left>},
      {"rstrip", strip_side<Side::right>},
      {"split", split_with<false>},
      {"rsplit", split_with<true>},
      {"splitlines", split_lines},
      {"partition", partition<false>},
      {"rpartition", partition<true>},
      {"replace", replace_in},
      {"removeprefix", remove_affix<false>},
      {"removesuffix", remove_affix<true>},
      {"upper", mapped<upper>},
      {"lower", mapped<lower>},
      {"casefold", mapped<casefold>},
      {"swapcase", mapped<swapcase>},
      {"title", mapped<title>},
      {"capitalize", mapped<capitalize>},
      {"center", padded<Align::center>},
      {"ljust", padded<Align::left>},
      {"rjust", padded<Align::right>},
      {"zfill", zero_fill},
      {"expandtabs", expand_tabs},
      {"join", join_strings},
      {"format",
       [](const Value& self, const Args& args, Budget& b) { return made(self, format_text(*self.str(), args, b), b); }},
      {"format_map",
       [](const Value& self, const Args& args, Budget& b) {
         const Params p("format_map", args, {"mapping"});
         return made(self, format_text(*self.str(), keywords_of(p.need(0), b), b), b);
       }},
  };
  return kMethods;
}

}  // namespace sluice::text::jinja
