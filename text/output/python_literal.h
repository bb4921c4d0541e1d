#pragma once
// A Python literal that comes byte by byte, made JSON: strings, numbers, True, False, None, lists, tuples, dicts with
// strings for keys; JSON's true, false and null too. Pure logic; a value. Nesting is bounded.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/output/json_scanner.h"

namespace sluice::text::output {

class PythonLiteral {
 public:
  enum class Step : std::uint8_t {
    more,    // this byte belongs to it
    done,    // this byte ends it
    before,  // it has ended before this byte
    bad,     // this byte may not come here
  };
  /// Nothing after done, before or bad.
  [[nodiscard]] Step push(char c);
  /// What came of its JSON since the last call.
  [[nodiscard]] std::string take() { return std::exchange(out_, {}); }

 private:
  enum class At : std::uint8_t { value, first, colon, separator, string, escape, digits, word };
  [[nodiscard]] Step begin_value(char c);
  [[nodiscard]] Step in_string(char c);
  [[nodiscard]] Step in_escape(char c);
  [[nodiscard]] Step digits_read();
  [[nodiscard]] Step word_read(char c);
  [[nodiscard]] Step value_ended();
  [[nodiscard]] Step close();
  void put(char c);

  struct Open {
    char closer;       // as Python has it
    bool dict;         // in JSON's words an object
    bool key = false;  // what comes next, or is read, is a key
    bool any = false;
  };
  At at_ = At::value;
  std::vector<Open> open_{};
  std::string word_;  // a number or a name; digits of an escape
  char quote_ = '"';
  std::size_t digits_ = 0;  // of the escape
  std::string out_;
};

}  // namespace sluice::text::output
