#pragma once
// One tool call as JSON models write it, byte by byte: {"name": "f", "arguments": {...}}, or with "parameters", keys in
// any order, perhaps with "id" and "type". Anything else is no call. Pure logic; a value.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "text/output/json_scanner.h"

namespace sluice::text::output {

/// Letters, digits, '_', '.', '-': what the name of a function is made of.
[[nodiscard]] bool is_name_byte(char c) noexcept;
inline constexpr std::size_t kMaxNameBytes = 64;

class CallObject {
 public:
  /// As JsonScanner's. The first byte is '{'.
  [[nodiscard]] JsonScanner::Step push(char c);

  /// Once it is known.
  [[nodiscard]] const std::optional<std::string>& name() const { return name_; }
  [[nodiscard]] bool has_arguments() const { return has_arguments_; }
  /// What came of the arguments' text since the last call.
  [[nodiscard]] std::string take_arguments() { return std::exchange(arguments_, {}); }

 private:
  using Step = JsonScanner::Step;
  enum class At : std::uint8_t { begin, key_or_end, key, in_key, colon, value, in_value, comma_or_end };
  enum class Key : std::uint8_t { name, arguments, other };
  [[nodiscard]] Step key_read();
  [[nodiscard]] Step begin_value(char c);
  [[nodiscard]] Step value_read();

  At at_ = At::begin;
  Key key_ = Key::other;
  JsonScanner scanner_;
  std::string word_;  // a key, or a value that is no arguments
  std::optional<std::string> name_;
  bool has_arguments_ = false;
  std::string arguments_;
};

}  // namespace sluice::text::output
