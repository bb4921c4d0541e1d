// format % values, as C's printf with Python's conversions.
#include <cmath>

#include "text/jinja/characters.h"
#include "text/jinja/dict.h"
#include "text/jinja/format.h"
#include "text/jinja/iterate.h"
#include "text/jinja/number.h"
#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

class Percent {
 public:
  Percent(const Text& format, const Value& values, Budget& budget)
      : format_(format), s_(format.bytes), values_(values), budget_(budget), out_(budget) {}

  Text run() {
    while (i_ < s_.size()) {
      const std::size_t at = std::min(s_.find('%', i_), s_.size());
      out_.add(format_, i_, at);
      i_ = at;
      if (i_ < s_.size()) conversion();
    }
    const bool mapping = !values_.is_tuple() && values_.str() == nullptr &&
                         (values_.dict() != nullptr || values_.list() != nullptr || values_.is_undefined());
    if (!mapping && used_ < count()) fault("not all arguments converted during string formatting");
    return out_.take();
  }

 private:
  struct Flags {
    bool left = false, plus = false, space = false, alternate = false, zero = false;
    std::int64_t width = 0;
    std::int64_t precision = -1;
  };

  [[nodiscard]] std::size_t count() const { return values_.is_tuple() ? values_.list()->items.size() : 1; }

  const Value& next() {
    if (used_ >= count()) fault("not enough arguments for format string");
    const std::size_t i = used_++;
    return values_.is_tuple() ? values_.list()->items[i] : values_;
  }

  char peek() const {
    if (i_ >= s_.size()) fault("incomplete format");
    return s_[i_];
  }

  /// %(name)s
  Value keyed() {
    const std::size_t begin = ++i_;
    for (int open = 1; open > 0; ++i_) open += peek() == '(' ? 1 : peek() == ')' ? -1 : 0;
    const Dict* d = values_.dict();
    if (d == nullptr) fault("format requires a mapping");
    used_ = count();
    const Value* v = d->find(s_.substr(begin, i_ - 1 - begin));
    if (v == nullptr) fault("'{}'", s_.substr(begin, i_ - 1 - begin));
    return *v;
  }

  std::int64_t number() {
    if (peek() == '*') {
      ++i_;
      const Value& v = next();
      if (!v.is<std::int64_t>()) fault("* wants int");
      return *v.as_int();
    }
    std::int64_t n = 0;
    while (peek() >= '0' && peek() <= '9') {
      n = n * 10 + (s_[i_++] - '0');
      if (n > INT32_MAX) fault("width too big");
    }
    return n;
  }

  void conversion() {
    budget_.step();
    ++i_;
    std::optional<Value> value;
    if (peek() == '(') value = keyed();
    Flags f;
    for (;; ++i_) {
      const char c = peek();
      bool* flag = c == '-' ? &f.left : c == '+' ? &f.plus : c == ' ' ? &f.space : c == '#' ? &f.alternate : nullptr;
      if (c == '0') flag = &f.zero;
      if (flag == nullptr) break;
      *flag = true;
    }
    f.width = number();
    if (f.width < 0) {
      f.left = true;
      f.width = -f.width;
    }
    if (peek() == '.') {
      ++i_;
      f.precision = std::max<std::int64_t>(0, number());
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++i_;
    const Character type = character_at(s_, i_);
    i_ += type.length;
    if (type.code == U'%') return out_.add("%");
    write(f, type.code < 0x80 ? static_cast<char>(type.code) : '?', value ? *value : next());
  }

  void write(const Flags& f, char type, const Value& v) {
    switch (type) {
      case 's':
      case 'r':
      case 'a':
        return pad(f, string(f, type, v));
      case 'c':
        return pad(f, one_character(v));
      case 'd':
      case 'i':
      case 'u':
      case 'o':
      case 'x':
      case 'X':
        return integer(f, type, v);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return real(f, type, v);
      default:
        fault("unsupported format character '{}'", type);
    }
  }

  Text string(const Flags& f, char type, const Value& v) {
    Text t;
    if (type == 's')
      t = soft_text(v, budget_);
    else
      t = type == 'a' && v.str() != nullptr ? string_repr(*v.str(), budget_, true) : repr(v, budget_);
    if (format_.markup) t = escape(t, budget_);
    return f.precision < 0 ? t : piece(t, 0, byte_of(t.bytes, static_cast<std::size_t>(f.precision)));
  }

  Text one_character(const Value& v) {
    if (const Text* s = v.str(); s != nullptr && character_count(s->bytes) == 1) return *s;
    if (!v.as_int()) fault("%c requires int or char");
    if (*v.as_int() < 0 || *v.as_int() > 0x10FFFF) fault("%c arg not in range(0x110000)");
    Text t;
    append_character(t.bytes, static_cast<char32_t>(*v.as_int()));
    return t;
  }

  void pad(const Flags& f, const Text& t) {
    out_.add(pad_text(t, f.width, nullptr, f.left ? Align::left : Align::right, budget_));
  }

  void signed_number(const Flags& f, bool negative, const std::string& prefix, std::string digits) {
    const std::string sign = (negative ? "-" : f.plus ? "+" : f.space ? " " : "") + prefix;
    const auto width = static_cast<std::size_t>(f.width);
    if (f.zero && !f.left && sign.size() + digits.size() < width) {
      budget_.memory(width);
      digits.insert(0, width - sign.size() - digits.size(), '0');
    }
    pad(f, Text{.bytes = sign + digits});
  }

  void integer(const Flags& f, char type, const Value& v) {
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    refuse_undefined(v);
    if (!(v.is_integral() || (decimal && v.is<double>())))
      fault("%{} format: {} is required, not {}", type, decimal ? "a real number" : "an integer", v.type_name());
    if (v.is<double>() && !std::isfinite(*v.get<double>())) fault("cannot convert float to integer");
    const Integer n = v.is<double>() ? to_integer(integer_of(*v.get<double>(), budget_)) : to_integer(v);
    std::string digits = integer_digits(n, decimal ? 10 : type == 'o' ? 8 : 16);
    if (type == 'X')
      for (char& c : digits) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (f.precision > static_cast<std::int64_t>(digits.size())) {
      budget_.memory(static_cast<std::size_t>(f.precision));
      digits.insert(0, static_cast<std::size_t>(f.precision) - digits.size(), '0');
    }
    const std::string prefix = !f.alternate || decimal ? "" : type == 'o' ? "0o" : type == 'x' ? "0x" : "0X";
    signed_number(f, n < 0, prefix, std::move(digits));
  }

  void real(const Flags& f, char type, const Value& v) {
    refuse_undefined(v);
    std::optional<double> d = v.as_double();
    if (!d) fault("must be real number, not {}", v.type_name());
    Flags own = f;
    own.zero = f.zero && std::isfinite(*d);
    signed_number(own, std::signbit(*d) && !std::isnan(*d), "",
                  format_float(std::abs(*d), type, f.precision < 0 ? 6 : f.precision, f.alternate));
  }

  const Text& format_;
  std::string_view s_;
  const Value& values_;
  Budget& budget_;
  TextBuilder out_;
  std::size_t i_ = 0;
  std::size_t used_ = 0;
};

}  // namespace

Text percent_format(const Text& format, const Value& values, Budget& budget) {
  Text out = Percent(format, values, budget).run();
  out.markup = format.markup;
  return out;
}

}  // namespace sluice::text::jinja
