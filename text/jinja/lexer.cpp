#include "text/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>

#include "text/jinja/strings.h"

namespace sluice::text::jinja {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_name(char c) { return is_name_start(c) || is_digit(c); }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// \r\n and \r become \n, and one newline at the very end goes (keep_trailing_newline is off).
std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

std::string_view rstripped(std::string_view s) { return s.substr(0, strip(s, Side::right).end); }

/// Decodes a literal's escapes as Python's unicode-escape codec does; an unknown one stays as written.
class Unescape {
 public:
  explicit Unescape(std::string_view body) : s_(body) {}

  std::string run() {
    while (i_ < s_.size()) {
      if (s_[i_] != '\\' || i_ + 1 == s_.size())
        out_ += s_[i_++];
      else
        escape();
    }
    return std::move(out_);
  }

 private:
  void escape() {
    const char c = s_[i_ + 1];
    constexpr std::string_view kFrom = "\\'\"abfnrtv";
    constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const std::size_t k = kFrom.find(c); k != std::string_view::npos) {
      out_ += kTo[k];
      i_ += 2;
    } else if (c == '\n') {
      i_ += 2;
    } else if (c >= '0' && c <= '7') {
      std::size_t n = 1;
      while (n < 3 && i_ + 1 + n < s_.size() && s_[i_ + 1 + n] >= '0' && s_[i_ + 1 + n] <= '7') ++n;
      number(1, n, 8);
    } else if (c == 'x') {
      number(2, 2, 16);
    } else if (c == 'u') {
      number(2, 4, 16);
    } else if (c == 'U') {
      number(2, 8, 16);
    } else if (c == 'N') {
      name();
    } else {
      out_ += '\\';
      ++i_;
    }
  }

  void number(std::size_t skip, std::size_t digits, int base) {
    const std::string text(s_.substr(std::min(i_ + skip, s_.size()), digits));
    std::size_t used = 0;
    unsigned long code = 0xFFFFFFFF;
    if (text.size() == digits &&
        std::ranges::all_of(text, [](char c) { return std::isxdigit(static_cast<unsigned char>(c)); }))
      code = std::stoul(text, &used, base);
    if (used != digits || code > 0x10FFFF) fault("a string in the chat template holds a broken escape");
    append_character(out_, static_cast<char32_t>(code));
    i_ += skip + digits;
  }

  /// \N{NAME}
  void name() {
    const std::size_t end = s_.find('}', i_);
    if (end == std::string_view::npos || i_ + 2 >= s_.size() || s_[i_ + 2] != '{')
      fault("a string in the chat template holds a broken \\N{{...}} escape");
    const std::string_view name = s_.substr(i_ + 3, end - i_ - 3);
    const auto c = named_character(name);
    if (!c) fault("the chat template names a character that is not known here: \\N{{{}}}", name);
    append_character(out_, *c);
    i_ = end + 1;
  }

  std::string_view s_;
  std::size_t i_ = 0;
  std::string out_;
};

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_newlines(source)), s_(source_) {}

  std::vector<Token> run() {
    while (i_ < s_.size()) text();
    add(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  enum class Tag { block, variable, comment };

  /// Data up to the next tag, then that tag.
  void text() {
    const std::size_t begin = find_tag();
    if (begin == std::string_view::npos) {
      data(s_.substr(i_));
      advance(s_.size() - i_);
      return;
    }
    const char kind = s_[begin + 1];
    const char sign = begin + 2 < s_.size() ? s_[begin + 2] : '\0';
    data(before_tag(s_.substr(i_, begin - i_), sign, kind != '{'));
    advance(begin + 2 - i_);
    if (sign == '-' || (sign == '+' && kind != '{')) advance(1);
    if (kind == '#')
      comment();
    else if (kind == '{')
      inside(Tag::variable);
    else if (!raw())
      inside(Tag::block);
  }

  [[nodiscard]] std::size_t find_tag() const {
    for (std::size_t at = s_.find('{', i_); at != std::string_view::npos && at + 1 < s_.size();
         at = s_.find('{', at + 1))
      if (s_[at + 1] == '{' || s_[at + 1] == '%' || s_[at + 1] == '#') return at;
    return std::string_view::npos;
  }

  /// The whitespace a tag takes off the text before it: with '-' all of it; without, for a block or comment, the
  /// blanks from the start of its line.
  [[nodiscard]] std::string_view before_tag(std::string_view text, char sign, bool lstrip) const {
    if (sign == '-') return rstripped(text);
    if (sign == '+' || !lstrip) return text;
    const std::size_t newline = text.rfind('\n');
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (line == 0 && !line_starting_) return text;
    return rstripped(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  void comment() {
    const std::size_t end = s_.find("#}", i_);
    if (end == std::string_view::npos) fault("line {}: a comment of the chat template is not closed", line_);
    // "{#-#}" has one sign, which find_tag's caller took already.
    const char sign = end > i_ ? s_[end - 1] : '\0';
    advance(end + 2 - i_);
    after_tag(sign, /*trim_newline=*/true);
  }

  /// The whitespace a tag takes off the text after it.
  void after_tag(char sign, bool trim_newline) {
    const std::size_t begin = i_;
    if (sign == '-') {
      advance(strip(s_.substr(i_), Side::left).begin);
    } else if (sign != '+' && trim_newline && i_ < s_.size() && s_[i_] == '\n') {
      advance(1);
    }
    line_starting_ = i_ > begin && s_[i_ - 1] == '\n';
  }

  /// {% raw %} ... {% endraw %}; false if the block begun here is another.
  bool raw() {
    std::size_t at = skip_spaces(i_);
    if (!s_.substr(at).starts_with("raw")) return false;
    at = skip_spaces(at + 3);
    const bool minus = at < s_.size() && s_[at] == '-';
    if (!s_.substr(at + (minus ? 1 : 0)).starts_with("%}")) return false;
    advance(at + (minus ? 3 : 2) - i_);
    after_tag(minus ? '-' : '+', false);
    for (std::size_t begin = s_.find("{%", i_); begin != std::string_view::npos; begin = s_.find("{%", begin + 2)) {
      std::size_t p = begin + 2;
      const char sign = p < s_.size() && (s_[p] == '-' || s_[p] == '+') ? s_[p++] : '\0';
      p = skip_spaces(p);
      if (!s_.substr(p).starts_with("endraw")) continue;
      p = skip_spaces(p + 6);
      const char end_sign = p < s_.size() && (s_[p] == '-' || s_[p] == '+') ? s_[p++] : '\0';
      if (!s_.substr(p).starts_with("%}")) continue;
      data(before_tag(s_.substr(i_, begin - i_), sign, true));
      advance(p + 2 - i_);
      after_tag(end_sign, true);
      return true;
    }
    fault("line {}: a raw block of the chat template is not closed", line_);
  }

  [[nodiscard]] std::size_t skip_spaces(std::size_t at) const {
    while (at < s_.size() && is_space(s_[at])) ++at;
    return at;
  }

  /// Tokens of one block or variable tag, up to and with its end.
  void inside(Tag tag) {
    const std::string_view close = tag == Tag::block ? "%}" : "}}";
    const std::uint32_t opened = line_;
    add(tag == Tag::block ? TokenKind::block_begin : TokenKind::variable_begin, "");
    std::vector<char> open;  // brackets; an end tag inside them is not one
    for (;;) {
      advance(skip_spaces(i_) - i_);
      if (i_ == s_.size()) fault("line {}: a tag of the chat template is not closed", opened);
      const std::string_view rest = s_.substr(i_);
      const bool signed_end =
          (rest[0] == '-' || (rest[0] == '+' && tag == Tag::block)) && rest.substr(1).starts_with(close);
      if (open.empty() && (signed_end || rest.starts_with(close))) {
        add(tag == Tag::block ? TokenKind::block_end : TokenKind::variable_end, "");
        const char sign = signed_end ? rest[0] : '\0';
        advance(signed_end ? 3 : 2);
        after_tag(sign, tag == Tag::block);
        return;
      }
      token(rest, open);
    }
  }

  void token(std::string_view rest, std::vector<char>& open) {
    if (is_digit(rest[0])) return number(rest);
    if (is_name_start(rest[0])) {
      std::size_t n = 1;
      while (n < rest.size() && is_name(rest[n])) ++n;
      add(TokenKind::name, rest.substr(0, n));
      return advance(n);
    }
    if (rest[0] == '\'' || rest[0] == '"') return literal(rest);
    constexpr std::array<std::string_view, 26> kOps = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                       "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                       ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const auto op = std::ranges::find_if(kOps, [&](std::string_view o) { return rest.starts_with(o); });
    if (op == kOps.end()) fault("line {}: unexpected character '{}' in the chat template", line_, rest[0]);
    balance(op->front(), open);
    add(TokenKind::op, *op);
    advance(op->size());
  }

  void balance(char c, std::vector<char>& open) const {
    if (c == '(')
      open.push_back(')');
    else if (c == '[')
      open.push_back(']');
    else if (c == '{')
      open.push_back('}');
    else if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fault("line {}: unexpected '{}' in the chat template", line_, c);
      open.pop_back();
    }
  }

  /// 0x1f, 0b101, 0o17
  bool prefixed(std::string_view rest) {
    constexpr std::string_view kBases = "xXbBoO";
    if (rest.size() < 3 || rest[0] != '0' || kBases.find(rest[1]) == std::string_view::npos) return false;
    std::size_t n = 2;
    while (n < rest.size() && (std::isxdigit(static_cast<unsigned char>(rest[n])) != 0 || rest[n] == '_')) ++n;
    add(TokenKind::integer, rest.substr(0, n));
    advance(n);
    return true;
  }

  void number(std::string_view rest) {
    if (prefixed(rest)) return;
    std::string digits;
    std::size_t n = 0;
    const auto run = [&] {
      while (n < rest.size() &&
             (is_digit(rest[n]) || (rest[n] == '_' && n + 1 < rest.size() && is_digit(rest[n + 1])))) {
        if (rest[n] != '_') digits += rest[n];
        ++n;
      }
    };
    run();
    bool real = false;
    // A dot right before the digits means an index, as in x.0.1.
    const bool after_dot = !tokens_.empty() && tokens_.back().op(".") && i_ > 0 && s_[i_ - 1] == '.';
    if (!after_dot && n + 1 < rest.size() && rest[n] == '.' && is_digit(rest[n + 1])) {
      real = true;
      digits += '.';
      ++n;
      run();
    }
    if (!after_dot && n < rest.size() && (rest[n] == 'e' || rest[n] == 'E')) {
      const std::size_t sign = n + 1 < rest.size() && (rest[n + 1] == '+' || rest[n + 1] == '-') ? 1 : 0;
      if (n + 1 + sign < rest.size() && is_digit(rest[n + 1 + sign])) {
        real = true;
        digits += rest.substr(n, 1 + sign);
        n += 1 + sign;
        run();
      }
    }
    add(real ? TokenKind::real : TokenKind::integer, digits);
    advance(n);
  }

  void literal(std::string_view rest) {
    std::size_t n = 1;
    while (n < rest.size() && rest[n] != rest[0]) n += rest[n] == '\\' ? 2 : 1;
    if (n >= rest.size()) fault("line {}: a string of the chat template is not closed", line_);
    add(TokenKind::string, Unescape(rest.substr(1, n - 1)).run());
    advance(n + 1);
  }

  void data(std::string_view text) {
    if (!text.empty()) add(TokenKind::data, text);
  }

  void add(TokenKind kind, std::string_view text) { tokens_.push_back({kind, std::string(text), line_}); }

  void advance(std::size_t n) {
    line_ += static_cast<std::uint32_t>(std::ranges::count(s_.substr(i_, n), '\n'));
    i_ += n;
  }

  std::string source_;
  std::string_view s_;
  std::size_t i_ = 0;
  std::uint32_t line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace sluice::text::jinja
