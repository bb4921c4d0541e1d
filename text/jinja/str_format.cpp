// str.format: fields in braces, with their own small language of names, conversions and nested specifications.
#include <algorithm>

#include "text/jinja/dict.h"
#include "text/jinja/format.h"
#include "text/jinja/item.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

class Formatter {
 public:
  Formatter(const Args& args, bool escapes, Budget& budget) : args_(args), escapes_(escapes), budget_(budget) {}

  Text run(const Text& format, int nested = 0) {
    if (nested > 2) fault("Max string recursion exceeded");
    TextBuilder out(budget_);
    const std::string& s = format.bytes;
    std::size_t done = 0;
    for (std::size_t i = 0; i < s.size();) {
      if (s[i] != '{' && s[i] != '}') {
        ++i;
        continue;
      }
      out.add(format, done, i);
      if (i + 1 < s.size() && s[i + 1] == s[i]) {
        out.add(format, i, i + 1);
        i += 2;
      } else if (s[i] == '}') {
        fault("Single '}}' encountered in format string");
      } else {
        const std::size_t end = field_end(s, i + 1);
        out.add(field(format, i + 1, end, nested));
        i = end + 1;
      }
      done = i;
    }
    out.add(format, done, s.size());
    return out.take();
  }

 private:
  static std::size_t field_end(std::string_view s, std::size_t i) {
    int open = 1;
    for (; i < s.size(); ++i) {
      if (s[i] == '[') {
        while (i < s.size() && s[i] != ']') ++i;
        continue;
      }
      open += s[i] == '{' ? 1 : s[i] == '}' ? -1 : 0;
      if (open == 0) return i;
    }
    fault("expected '}}' before end of string");
  }

  Text field(const Text& format, std::size_t begin, std::size_t end, int nested) {
    budget_.step();
    const std::string_view s = std::string_view(format.bytes).substr(0, end);
    std::size_t at = begin;
    for (bool inside = false; at < end && (inside || (s[at] != '!' && s[at] != ':')); ++at)
      inside = s[at] == '[' || (inside && s[at] != ']');
    Value v = named(s.substr(begin, at - begin));
    char conversion = '\0';
    if (at < end && s[at] == '!') {
      if (at + 1 >= end) fault("end of string while looking for conversion specifier");
      conversion = s[at + 1];
      at += 2;
      if (at < end && s[at] != ':') fault("expected ':' after conversion specifier");
    }
    Text spec;
    if (at < end) spec = run(piece(format, at + 1, end), nested + 1);
    return converted(std::move(v), conversion, spec);
  }

  Text converted(Value v, char conversion, const Text& spec) {
    switch (conversion) {
      case '\0':
        break;
      case 's':
        v = Value::string(to_text(v, budget_), budget_);
        break;
      case 'r':
      case 'a':
        v = Value::string(
            conversion == 'a' && v.str() != nullptr ? string_repr(*v.str(), budget_, true) : repr(v, budget_), budget_);
        break;
      default:
        fault("Unknown conversion specifier {}", conversion);
    }
    if (!escapes_) return format_value(v, spec.bytes, budget_);
    if (v.is_markup() && !spec.empty()) fault("Format specifier {} given, but Markup does not define one", spec.bytes);
    return escape(v.is_markup() ? *v.str() : format_value(v, spec.bytes, budget_), budget_);
  }

  /// a.b[0]: an argument, then attributes and items of it.
  Value named(std::string_view name) {
    std::size_t i = std::min(name.find_first_of(".["), name.size());
    Value v = argument(name.substr(0, i));
    while (i < name.size()) {
      budget_.step();
      if (name[i] == '.') {
        const std::size_t end = std::min(name.find_first_of(".[", i + 1), name.size());
        const std::string_view attribute = name.substr(i + 1, end - i - 1);
        if (attribute.empty()) fault("Empty attribute in format string");
        v = attribute_of(v, attribute, budget_);
        i = end;
      } else {
        if (name[i] != '[') fault("Only '.' or '[' may follow ']' in format field specifier");
        const std::size_t end = name.find(']', i);
        if (end == std::string_view::npos) fault("Missing ']' in format string");
        const std::string_view key = name.substr(i + 1, end - i - 1);
        if (key.empty()) fault("Empty attribute in format string");
        v = subscript(v, number_or_text(key), budget_);
        i = end + 1;
      }
    }
    return v;
  }

  Value number_or_text(std::string_view key) {
    if (std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; }) && key.size() < 19)
      return *parse_integer(key, 10, budget_);
    return Value::string(std::string(key), budget_);
  }

  Value argument(std::string_view name) {
    const bool digits = std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) {
      for (const auto& [key, value] : args_.keyword)
        if (key == name) return value;
      fault("'{}'", name);  // Python's KeyError says no more
    }
    if (name.empty() ? numbering_ == Numbering::manual : numbering_ == Numbering::automatic)
      fault("cannot switch between manual field specification and automatic field numbering");
    numbering_ = name.empty() ? Numbering::automatic : Numbering::manual;
    const std::size_t i = name.empty() ? next_++ : name.size() < 10 ? std::stoul(std::string(name)) : SIZE_MAX;
    if (i >= args_.positional.size()) fault("Replacement index {} out of range for positional args tuple", i);
    return args_.positional[i];
  }

  const Args& args_;
  bool escapes_;
  Budget& budget_;
  enum class Numbering { none, automatic, manual } numbering_ = Numbering::none;
  std::size_t next_ = 0;
};

}  // namespace

Text format_text(const Text& format, const Args& args, Budget& budget) {
  budget.step(args.keyword.size() / 16);
  return Formatter(args, format.markup, budget).run(format);
}

Args keywords_of(const Value& mapping, Budget& budget) {
  if (mapping.dict() == nullptr) fault("argument after ** must be a mapping, not {}", mapping.type_name());
  Args out;
  for (const auto& [k, v] : mapping.dict()->items()) {
    budget.memory(sizeof(Value) + (k.str() != nullptr ? k.str()->size() : 0));
    if (k.str() == nullptr) fault("keywords must be strings");
    out.keyword.emplace_back(k.str()->bytes, v);
  }
  return out;
}

}  // namespace sluice::text::jinja
