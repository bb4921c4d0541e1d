#include "text/jinja/tojson.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "text/jinja/compare.h"
#include "text/jinja/dict.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

class Writer {
 public:
  Writer(const Params& p, Budget& budget)
      : budget_(budget), out_(budget), ensure_ascii_(p.flag(0, false)), sort_keys_(p.flag(3, false)) {
    if (p.some(1) != nullptr)
      indent_ = p.get(1)->str() != nullptr ? p.get(1)->str()->bytes : std::string(spaces(p.integer(1, 0)), ' ');
    item_ = indent_ ? "," : ", ";
    if (p.some(2) != nullptr) {
      const List* pair = p.get(2)->list();
      if (pair == nullptr || pair->items.size() != 2 || pair->items[0].str() == nullptr ||
          pair->items[1].str() == nullptr)
        fault("tojson() needs two strings for 'separators'");
      item_ = pair->items[0].str()->bytes;
      key_ = pair->items[1].str()->bytes;
    }
  }

  void write(const Value& v) {
    if (v.is_none())
      add("null");
    else if (const auto* b = v.get<bool>())
      add(*b ? "true" : "false");
    else if (v.is_integral())
      add(integer_text(v));
    else if (const auto* d = v.get<double>())
      add(number(*d));
    else if (const Text* s = v.str())
      string(*s);
    else if (const List* l = v.list(); l != nullptr && l->kind != ListKind::range)
      list(*l);
    else if (const Dict* m = v.dict())
      dict(*m);
    else
      fault("Object of type {} is not JSON serializable", v.type_name());
  }

  [[nodiscard]] Text take() { return out_.take(); }

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

  void add(std::string_view s) { out_.add(s); }

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
    if (d.size() == 0) return add("{}");
    std::vector<const Dict::Entry*> order;
    budget_.memory(d.size() * sizeof(const Dict::Entry*));
    for (const auto& e : d.items()) order.push_back(&e);
    if (sort_keys_)
      std::ranges::stable_sort(order, [&](const auto* x, const auto* y) { return less(x->key, y->key, budget_); });
    add("{");
    ++level_;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i > 0) add(item_);
      newline(level_);
      key(order[i]->key);
      add(key_);
      write(order[i]->value);
    }
    newline(--level_);
    add("}");
  }

  /// Keys of JSON are strings; Python writes other simple ones as such.
  void key(const Value& k) {
    if (k.str() != nullptr) return string(*k.str());
    if (!k.is_number() && !k.is_none()) fault("keys must be str, int, float, bool or None, not {}", k.type_name());
    add("\"");
    write(k);
    add("\"");
  }

  void string(const Text& s) {
    add("\"");
    std::size_t done = 0;  // what needs no escape is copied in one piece
    for (std::size_t i = 0; i < s.size();) {
      const auto byte = static_cast<unsigned char>(s.bytes[i]);
      if (byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\') {
        ++i;
        continue;
      }
      const Character c = character_at(s.bytes, i);
      const std::string e = escaped(c.code);
      if (!e.empty()) {
        out_.add(s, done, i);
        budget_.memory(e.size());
        out_.put(e, s.origin.typed_at(i));
        done = i + c.length;
      }
      i += c.length;
    }
    out_.add(s, done, s.size());
    add("\"");
  }

  /// Empty for a character that stands for itself.
  [[nodiscard]] std::string escaped(char32_t c) const {
    switch (c) {
      case U'"':
        return "\\\"";
      case U'\\':
        return "\\\\";
      case U'\n':
        return "\\n";
      case U'\r':
        return "\\r";
      case U'\t':
        return "\\t";
      case U'\f':
        return "\\f";
      case U'\b':
        return "\\b";
      default:
        break;
    }
    const auto u = static_cast<std::uint32_t>(c);
    if (u >= 0x20 && !(ensure_ascii_ && u >= 0x7F)) return {};
    if (u < 0x10000) return fmt::format("\\u{:04x}", u);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((u - 0x10000) >> 10), 0xDC00 + ((u - 0x10000) & 0x3FF));
  }

  Budget& budget_;
  TextBuilder out_;
  bool ensure_ascii_;
  bool sort_keys_;
  std::optional<std::string> indent_;
  std::string item_;
  std::string key_ = ": ";
  std::uint32_t level_ = 0;
};

}  // namespace

Value to_json(const Value& v, const Args& args, Budget& budget) {
  Writer w(Params("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}), budget);
  w.write(v);
  return Value::string(w.take(), budget);
}

}  // namespace sluice::text::jinja
