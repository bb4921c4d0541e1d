#pragma once
// From bytes to a JSON value, bounded before anything is built: length first, then nesting. A pure function,
// thread-safe, never throws. Failure: an Error in words that say where and, where it is known, why.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/result.h"

namespace sluice {

inline constexpr int kJsonDepth = 64;  // nesting that no honest document of ours comes near

/// What a document may be, and how its errors speak of it.
struct JsonText {
  std::string_view what = "the JSON";  // opens each error
  Errc code = Errc::invalid_argument;  // of each error
  std::size_t max_bytes = std::size_t{16} << 20;
  int max_depth = kJsonDepth;
  bool comments = false;         // C and C++ comments are skipped
  bool refuse_repeated = false;  // a field given twice is an error; else the last one counts, as usual
};

[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, const JsonText& as = {});

/// As parse_json(), of a document that must be an object.
[[nodiscard]] Result<nlohmann::json> parse_json_object(std::string_view text, const JsonText& as = {});

/// "a string", "a list": a value's type in a user's words.
[[nodiscard]] std::string_view json_type(const nlohmann::json& value) noexcept;

}  // namespace sluice
