#include "text/jinja/filters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "text/jinja/methods.h"
#include "text/jinja/strings.h"
#include "text/jinja/tojson.h"

namespace sluice::text::jinja {

namespace {

using Filter = Value (*)(const Value& v, const Args& args, Budget& budget);

Value text(std::string s, Budget& b) { return Value::string(std::move(s), b); }

// --- elements and their attributes ------------------------------------------------------------------------------

/// make_attrgetter: "a.b.0" goes down step by step.
Value attribute_of(const Value& v, const Value& path, Budget& b) {
  if (path.as_int()) return item_of(v, path, b).value_or(Value::undefined("element"));
  if (path.str() == nullptr) fault("an attribute is named by a string, not {}", path.type_name());
  Value at = v;
  for (const std::string_view part : split(*path.str(), ".", -1)) {
    b.step();
    std::int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number = error == std::errc{} && end == part.data() + part.size();
    if (at.is_undefined()) fault("'{}' of an undefined value", part);
    at = item_of(at, number ? Value::integer(index) : text(std::string(part), b), b).value_or(Value::undefined(part));
  }
  return at;
}

Value element(const Value& v, const Value* attribute, Budget& b) {
  return attribute != nullptr && !attribute->is_none() ? attribute_of(v, *attribute, b) : v;
}

/// A key for sort, unique, min and max: strings compare without case unless asked.
Value sort_key(const Value& v, const Value* attribute, bool case_sensitive, Budget& b) {
  Value key = element(v, attribute, b);
  if (case_sensitive || key.str() == nullptr) return key;
  return text(lower(*key.str()), b);
}

Value select(const Value& v, const Args& args, Budget& b, bool by_attribute, bool keep) {
  std::size_t used = by_attribute ? 1 : 0;
  if (args.positional.size() < used) fault("selectattr needs an attribute");
  const Value* attribute = by_attribute ? &args.positional[0] : nullptr;
  std::string test;
  if (args.positional.size() > used) {
    const Value& name = args.positional[used++];
    if (name.str() == nullptr) fault("a test is named by a string, not {}", name.type_name());
    test = *name.str();
  }
  const Args rest{{args.positional.begin() + static_cast<std::ptrdiff_t>(used), args.positional.end()}, args.keyword};
  std::vector<Value> out;
  for (Value& item : iterate(v, b)) {
    b.step();
    const Value subject = element(item, attribute, b);
    const bool holds = test.empty() ? truthy(subject) : apply_test(test, subject, rest, b);
    if (holds == keep) out.push_back(std::move(item));
  }
  return Value::list(std::move(out), b);
}

Value map(const Value& v, const Args& args, Budget& b) {
  std::vector<Value> out;
  if (args.positional.empty()) {
    const Params p("map", args, {"attribute", "default"});
    for (const Value& item : iterate(v, b)) {
      const Value got = attribute_of(item, p.need(0), b);
      out.push_back(got.is_undefined() && p.get(1) != nullptr ? *p.get(1) : got);
    }
    return Value::list(std::move(out), b);
  }
  const Value& name = args.positional[0];
  if (name.str() == nullptr) fault("a filter is named by a string, not {}", name.type_name());
  const Args rest{{args.positional.begin() + 1, args.positional.end()}, args.keyword};
  for (const Value& item : iterate(v, b)) out.push_back(apply_filter(*name.str(), item, rest, b));
  return Value::list(std::move(out), b);
}

void sort_values(std::vector<Value>& items, const Value* attribute, bool case_sensitive, bool reverse, Budget& b) {
  std::vector<std::pair<Value, Value>> keyed;
  keyed.reserve(items.size());
  for (Value& v : items) keyed.emplace_back(sort_key(v, attribute, case_sensitive, b), std::move(v));
  const auto before = [&](const auto& x, const auto& y) { return less(x.first, y.first, b); };
  // A comparison may throw; stable_sort then leaves moved-from elements, which nobody looks at again.
  if (reverse) std::ranges::reverse(keyed);
  std::ranges::stable_sort(keyed, before);
  if (reverse) std::ranges::reverse(keyed);
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = std::move(keyed[i].second);
}

Value sort(const Value& v, const Args& args, Budget& b) {
  const Params p("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = iterate(v, b);
  sort_values(items, p.get(2), p.flag(1, false), p.flag(0, false), b);
  return Value::list(std::move(items), b);
}

Value dictsort(const Value& v, const Args& args, Budget& b) {
  const Params p("dictsort", args, {"case_sensitive", "by", "reverse"});
  if (v.dict() == nullptr) fault("dictsort needs a mapping, not {}", v.type_name());
  const std::string by = p.get(1) != nullptr ? p.need_text(1) : "key";
  if (by != "key" && by != "value") fault("dictsort sorts by 'key' or 'value', not '{}'", by);
  std::vector<Value> items;
  for (const auto& [k, e] : v.dict()->items()) items.push_back(Value::list({text(k, b), e}, b, true));
  const Value index = Value::integer(by == "key" ? 0 : 1);
  sort_values(items, &index, p.flag(0, false), p.flag(2, false), b);
  return Value::list(std::move(items), b);
}

Value extreme(const Value& v, const Args& args, Budget& b, bool largest) {
  const Params p(largest ? "max" : "min", args, {"case_sensitive", "attribute"});
  const std::vector<Value> items = iterate(v, b);
  if (items.empty()) return Value::undefined("no element");
  const Value* best = &items[0];
  Value best_key = sort_key(*best, p.get(1), p.flag(0, false), b);
  for (const Value& item : items) {
    Value key = sort_key(item, p.get(1), p.flag(0, false), b);
    if (largest ? less(best_key, key, b) : less(key, best_key, b)) {
      best = &item;
      best_key = std::move(key);
    }
  }
  return *best;
}

Value unique(const Value& v, const Args& args, Budget& b) {
  const Params p("unique", args, {"case_sensitive", "attribute"});
  std::vector<Value> keys;
  std::vector<Value> out;
  for (Value& item : iterate(v, b)) {
    Value key = sort_key(item, p.get(1), p.flag(0, false), b);
    if (std::ranges::any_of(keys, [&](const Value& k) { return equals(k, key, b); })) continue;
    keys.push_back(std::move(key));
    out.push_back(std::move(item));
  }
  return Value::list(std::move(out), b);
}

Value sum(const Value& v, const Args& args, Budget& b) {
  const Params p("sum", args, {"attribute", "start"});
  const std::int64_t start = p.integer(1, 0);
  double real = static_cast<double>(start);
  std::int64_t whole = start;
  bool exact = true;
  for (const Value& item : iterate(v, b)) {
    const Value e = element(item, p.get(0), b);
    if (!e.is_number()) fault("sum needs numbers, got {}", e.type_name());
    real += *e.as_double();
    if (!e.as_int())
      exact = false;
    else if (__builtin_add_overflow(whole, *e.as_int(), &whole))
      fault("an integer beyond 64 bits");
  }
  return exact ? Value::integer(whole) : Value::real(real);
}

Value join(const Value& v, const Args& args, Budget& b) {
  const Params p("join", args, {"d", "attribute"});
  const std::string separator = p.get(0) != nullptr ? to_str(*p.get(0), b) : "";
  std::string out;
  bool first = true;
  for (const Value& item : iterate(v, b)) {
    const std::string piece = to_str(element(item, p.get(1), b), b);
    b.memory(separator.size() + piece.size());
    if (!first) out += separator;
    first = false;
    out += piece;
  }
  return text(std::move(out), b);
}

Value end_of(const Value& v, Budget& b, bool last) {
  if (v.str() != nullptr) {
    const auto c = characters(*v.str(), b);
    if (!c.empty()) return text(std::string(last ? c.back() : c.front()), b);
  } else {
    const auto items = iterate(v, b);
    if (!items.empty()) return last ? items.back() : items.front();
  }
  return Value::undefined("no element, sequence was empty");
}

Value reverse(const Value& v, const Args&, Budget& b) {
  if (v.str() != nullptr) {
    const Value back = Value::integer(-1);
    return slice(v, nullptr, nullptr, &back, b);
  }
  std::vector<Value> items = iterate(v, b);
  std::ranges::reverse(items);
  return Value::list(std::move(items), b);
}

// --- text and numbers -------------------------------------------------------------------------------------------

template <std::string (*F)(std::string_view)>
Value mapped(const Value& v, const Args& args, Budget& b) {
  const Params p("filter", args, {});
  const std::string s = to_str(v, b);
  b.memory(s.size());
  return text(F(s), b);
}

/// Jinja's own title: words begin after whitespace or one of -({[<.
std::string title_words(std::string_view s) {
  std::string out;
  std::size_t begin = 0;
  const auto flush = [&](std::size_t end) {
    out += capitalize(s.substr(begin, end - begin));
    begin = end;
  };
  for (std::size_t i = 0; i < s.size(); ++i)
    if (std::string_view("-({[< \t\n\r\f\v").find(s[i]) != std::string_view::npos) {
      flush(i);
      out += s[i];
      begin = i + 1;
    }
  flush(s.size());
  return out;
}

std::string escape_html(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '\'')
      out += "&#39;";
    else if (c == '"')
      out += "&#34;";
    else
      out += c;
  }
  return out;
}

Value indent(const Value& v, const Args& args, Budget& b) {
  const Params p("indent", args, {"width", "first", "blank"});
  std::string by = "    ";
  if (p.get(0) != nullptr && p.get(0)->str() != nullptr) {
    by = *p.get(0)->str();
  } else {
    const std::int64_t width = p.integer(0, 4);
    b.memory(width > 0 ? static_cast<std::size_t>(width) : 0);
    by.assign(width > 0 ? static_cast<std::size_t>(width) : 0, ' ');
  }
  if (v.str() == nullptr) fault("indent needs a string, not {}", v.type_name());
  const std::string with_newline = *v.str() + "\n";
  b.memory(with_newline.size());
  std::string out;
  bool first = true;
  for (const std::string_view line : splitlines(with_newline)) {
    const bool pad = first ? p.flag(1, false) : p.flag(2, false) || !line.empty();
    b.memory(line.size() + by.size() + 1);
    if (!first) out += '\n';
    if (pad) out += by;
    out += line;
    first = false;
  }
  return text(std::move(out), b);
}

std::optional<double> parse_double(std::string_view s) {
  s = strip(s, Side::both);
  if (s.starts_with('+')) s.remove_prefix(1);
  double d = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), d);
  if (s.empty() || error != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return d;
}

Value to_int(const Value& v, const Args& args, Budget&) {
  const Params p("int", args, {"default", "base"});
  Value fallback = p.get(0) != nullptr ? *p.get(0) : Value::integer(0);
  if (v.as_int()) return Value::integer(*v.as_int());
  std::optional<double> d = v.as_double();
  if (v.str() != nullptr) {
    std::string_view s = strip(*v.str(), Side::both);
    if (s.starts_with('+')) s.remove_prefix(1);
    std::int64_t i = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), i,
                                              static_cast<int>(std::clamp<std::int64_t>(p.integer(1, 10), 2, 36)));
    if (!s.empty() && error == std::errc{} && end == s.data() + s.size()) return Value::integer(i);
    d = parse_double(s);
  }
  if (!d || !(std::abs(*d) < 9.2e18)) return fallback;
  return Value::integer(static_cast<std::int64_t>(*d));
}

Value to_float(const Value& v, const Args& args, Budget&) {
  const Params p("float", args, {"default"});
  if (v.as_double()) return Value::real(*v.as_double());
  if (v.str() != nullptr)
    if (const auto d = parse_double(*v.str())) return Value::real(*d);
  return p.get(0) != nullptr ? *p.get(0) : Value::real(0);
}

Value absolute(const Value& v, const Args&, Budget&) {
  if (v.as_int()) {
    if (*v.as_int() == INT64_MIN) fault("an integer beyond 64 bits");
    return Value::integer(std::abs(*v.as_int()));
  }
  if (!v.is<double>()) fault("abs needs a number, not {}", v.type_name());
  return Value::real(std::abs(*v.as_double()));
}

Value round_to(const Value& v, const Args& args, Budget&) {
  const Params p("round", args, {"precision", "method"});
  const std::string method = p.get(1) != nullptr ? p.need_text(1) : "common";
  if (!v.is_number()) fault("round needs a number, not {}", v.type_name());
  const double scale = std::pow(10.0, static_cast<double>(std::clamp<std::int64_t>(p.integer(0, 0), -300, 300)));
  const double x = *v.as_double() * scale;
  if (method == "common") return Value::real(std::nearbyint(x) / scale);
  if (method == "ceil") return Value::real(std::ceil(x) / scale);
  if (method == "floor") return Value::real(std::floor(x) / scale);
  fault("round knows common, ceil and floor, not '{}'", method);
}

Value fallback(const Value& v, const Args& args, Budget& b) {
  const Params p("default", args, {"default_value", "boolean"});
  const bool use = v.is_undefined() || (p.flag(1, false) && !truthy(v));
  if (!use) return v;
  return p.get(0) != nullptr ? *p.get(0) : text("", b);
}

Value items(const Value& v, const Args& args, Budget& b) {
  if (v.is_undefined()) return Value::list({}, b);
  if (v.dict() == nullptr) fault("Can only get item pairs from a mapping.");
  return call_method(v, "items", args, b);
}

Value trim(const Value& v, const Args& args, Budget& b) { return call_method(text(to_str(v, b), b), "strip", args, b); }

Value replaced(const Value& v, const Args& args, Budget& b) {
  const Params p("replace", args, {"old", "new", "count"});
  const std::int64_t count = p.get(2) != nullptr && p.get(2)->is_none() ? -1 : p.integer(2, -1);
  return text(replace(to_str(v, b), to_str(p.need(0), b), to_str(p.need(1), b), count, b), b);
}

const std::map<std::string_view, Filter>& filters() {
  static const std::map<std::string_view, Filter> kFilters = {
      {"abs", absolute},
      {"capitalize", mapped<capitalize>},
      {"count", [](auto& v, auto&, auto& b) { return Value::integer(length(v, b)); }},
      {"d", fallback},
      {"default", fallback},
      {"dictsort", dictsort},
      {"e", mapped<escape_html>},
      {"escape", mapped<escape_html>},
      {"first", [](auto& v, auto&, auto& b) { return end_of(v, b, false); }},
      {"float", to_float},
      {"indent", indent},
      {"int", to_int},
      {"items", items},
      {"join", join},
      {"last", [](auto& v, auto&, auto& b) { return end_of(v, b, true); }},
      {"length", [](auto& v, auto&, auto& b) { return Value::integer(length(v, b)); }},
      {"list", [](auto& v, auto&, auto& b) { return Value::list(iterate(v, b), b); }},
      {"lower", mapped<lower>},
      {"map", map},
      {"max", [](auto& v, auto& a, auto& b) { return extreme(v, a, b, true); }},
      {"min", [](auto& v, auto& a, auto& b) { return extreme(v, a, b, false); }},
      {"reject", [](auto& v, auto& a, auto& b) { return select(v, a, b, false, false); }},
      {"rejectattr", [](auto& v, auto& a, auto& b) { return select(v, a, b, true, false); }},
      {"replace", replaced},
      {"reverse", reverse},
      {"round", round_to},
      {"safe", [](const Value& v, const Args&, Budget&) { return v; }},
      {"select", [](auto& v, auto& a, auto& b) { return select(v, a, b, false, true); }},
      {"selectattr", [](auto& v, auto& a, auto& b) { return select(v, a, b, true, true); }},
      {"sort", sort},
      {"string", [](auto& v, auto&, auto& b) { return text(to_str(v, b), b); }},
      {"sum", sum},
      {"title", mapped<title_words>},
      {"tojson", to_json},
      {"trim", trim},
      {"unique", unique},
      {"upper", mapped<upper>},
  };
  return kFilters;
}

}  // namespace

Value apply_filter(std::string_view name, const Value& input, const Args& args, Budget& budget) {
  budget.step();
  const auto it = filters().find(name);
  if (it == filters().end()) fault("the chat template uses an unknown filter '{}'", name);
  return it->second(input, args, budget);
}

}  // namespace sluice::text::jinja
