#pragma once
// JSON with its keys in the order in which they came, for what depends on it: templates print tools as their authors
// wrote them, and an answer to a schema has its properties in that order.
//
// Threading: none; one per request. Failure: none; see KeyOrder.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

namespace sluice::coordinator {

/// Names of all objects in it, at all depths.
[[nodiscard]] std::size_t names_in(const nlohmann::json& j);

/// The documents of one request, their keys in the order in which they came. An ordered object finds a key by looking
/// at each, so that many keys in one object cost their square: what would cost too much, all documents together, is in
/// the order of the alphabet instead.
class KeyOrder {
 public:
  /// `sorted` was parsed from `source`. Integers beyond 64 bits keep their digits (text/jinja/from_json.h).
  [[nodiscard]] nlohmann::ordered_json of(std::string_view source, const nlohmann::json& sorted);
  /// Such integers are floating point numbers, as in `sorted`.
  [[nodiscard]] nlohmann::ordered_json plain_of(std::string_view source, const nlohmann::json& sorted);

 private:
  [[nodiscard]] bool affords(std::string_view source, const nlohmann::json& sorted);
  static constexpr std::size_t kMost = 4'000'000;  // comparisons: some tens of ms
  std::size_t spent_ = 0;
};

}  // namespace sluice::coordinator
