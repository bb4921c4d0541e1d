#include "text/jinja/tojson.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/jinja/strings.h"
#include "text/unicode/unicode.h"

namespace sluice::text::jinja {

namespace {

class Writer {
 public:
  Writer(const Params& p, Budget& budget)
      : budget_(budget), ensure_ascii_(p.flag(0, false)), sort_keys_(p.flag(3, false)) {
    if (p.get(1) != nullptr && !p.get(1)->is_none())
      indent_ = p.get(1)->str() != nullptr ? *p.get(1)->str() : std::string(spaces(p.integer(1, 0)), ' ');
    item_ = indent_ ? "," : ", ";
    if (p.get(2) != nullptr && !p.get(2)->is_none()) {
      const List* pair = p.get(2)->list();
      if (pair == nullptr || pair->items.size() != 2 || pair->items[0].str() == nullptr ||
          pair->items[1].str() == nullptr)
        fault("tojson() needs two strings for 'separators'");
      item_ = *pair->items[0].str();
      key_ = *pair->items[1].str();
    }
  }

  void write(const Value& v) {
    if (v.is_none())
      add("null");
    else if (const auto* b = v.get<bool>())
      add(*b ? "true" : "false");
    else if (const auto* i = v.get<std::int64_t>())
      add(std::to_string(*i));
    else if (const auto* d = v.get<double>())
      add(number(*d));
    else if (const auto* s = v.str())
      string(*s);
    else if (const List* l = v.list())
      list(*l);
    else if (const Dict* m = v.dict())
      dict(*m);
    else
      fault("Object of type {} is not JSON serializable", v.type_name());
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  static std::size_t spaces(std::int64_t n) {
    if (n > 64) fault("tojson() indents by at most 64 spaces");
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

  static std::string number(double d) {
    if (std::isnan(d)) return "NaN";
    if (std::isinf(d)) return d > 0 ? "Infinity" : "-Infinity";
    return float_repr(d);
  }

  void add(std::string_view s) {
    budget_.memory(s.size());
    out_ += s;
  }

  void newline(std::uint32_t level) {
    if (!indent_) return;
    add("\n");
    for (std::uint32_t i = 0; i < level; ++i) add(*indent_);
  }

  void list(const List& l) {
    if (l.items.empty()) return add("[]");
    add("[");
    ++level_;
    for (std::size_t i = 0; i < l.items.size(); ++i) {
      if (i > 0) add(item_);
      newline(level_);
      write(l.items[i]);
    }
    newline(--level_);
    add("]");
  }

  void dict(const Dict& d) {
    if (d.items().empty()) return add("{}");
    std::vector<const std::pair<std::string, Value>*> order;
    for (const auto& kv : d.items()) order.push_back(&kv);
    if (sort_keys_) std::ranges::sort(order, {}, [](const auto* kv) -> const std::string& { return kv->first; });
    add("{");
    ++level_;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i > 0) add(item_);
      newline(level_);
      string(order[i]->first);
      add(key_);
      write(order[i]->second);
    }
    newline(--level_);
    add("}");
  }

  void string(std::string_view s) {
    budget_.memory(s.size() + 2);
    out_ += '"';
    while (!s.empty()) {
      const Utf8Step c = utf8_step(s);
      const std::size_t n = std::max<std::size_t>(1, c.length);
      character(c.code_point, s.substr(0, n));
      s.remove_prefix(n);
    }
    out_ += '"';
  }

  void character(char32_t c, std::string_view bytes) {
    switch (c) {
      case U'"':
        add("\\\"");
        return;
      case U'\\':
        add("\\\\");
        return;
      case U'\n':
        add("\\n");
        return;
      case U'\r':
        add("\\r");
        return;
      case U'\t':
        add("\\t");
        return;
      case U'\f':
        add("\\f");
        return;
      case U'\b':
        add("\\b");
        return;
      default:
        break;
    }
    const auto u = static_cast<std::uint32_t>(c);
    if (bytes.front() == kTypedMark)
      out_ += bytes;
    else if (u < 0x20 || (ensure_ascii_ && u > 0x7F && u < 0x10000))
      add(fmt::format("\\u{:04x}", u));
    else if (ensure_ascii_ && u >= 0x10000)
      add(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((u - 0x10000) >> 10), 0xDC00 + ((u - 0x10000) & 0x3FF)));
    else
      out_ += bytes;
  }

  Budget& budget_;
  bool ensure_ascii_;
  bool sort_keys_;
  std::optional<std::string> indent_;
  std::string item_;
  std::string key_ = ": ";
  std::uint32_t level_ = 0;
  std::string out_;
};

}  // namespace

Value to_json(const Value& v, const Args& args, Budget& budget) {
  Writer w(Params("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}), budget);
  w.write(v);
  return Value::string(w.take(), budget);
}

}  // namespace sluice::text::jinja
