#pragma once
// Checks JSON that comes byte by byte: one object or one string, strictly by RFC 8259. Says where it ends, or where it
// goes wrong. Pure logic; a value; never fails. Nesting is bounded.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::text::output {

/// White space of JSON, and between the words of every call.
constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class JsonScanner {
 public:
  static constexpr std::size_t kMaxDepth = 128;
  enum class Step : std::uint8_t {
    more,  // this byte belongs to it, and more must come
    done,  // this byte ends it
    bad,   // this byte may not come here
  };
  /// Nothing after done or bad.
  [[nodiscard]] Step push(char c);

 private:
  enum class At : std::uint8_t {
    begin,
    value,
    value_or_end,
    key,
    key_or_end,
    colon,
    comma_or_end,  // between words
    string,
    escape,
    hex,      // within a string
    literal,  // true, false, null
    minus,
    zero,
    digits,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,  // within a number
  };
  [[nodiscard]] Step begin_value(char c);
  [[nodiscard]] Step in_string(char c);
  [[nodiscard]] Step in_number(char c);
  [[nodiscard]] Step close(char c);
  [[nodiscard]] Step value_ended();
  [[nodiscard]] Step go(At at) {
    at_ = at;
    return Step::more;
  }

  At at_ = At::begin;
  bool string_is_key_ = false;
  int hex_left_ = 0;
  const char* rest_ = "";        // of a literal
  std::vector<char> closers_{};  // of what is open, innermost last
};

}  // namespace sluice::text::output
