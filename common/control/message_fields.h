#pragma once
// What the files that list messages' fields share. Included by those only.
#include <string>
#include <string_view>

#include "common/control/messages.h"
#include "common/json/field_list.h"

namespace sluice {

template <class V>
void fields(V& v, Of<V, Error> m) {
  v.need("code", m.code);
  v.need("message", m.message);
  v.want("param", m.param);
}

}  // namespace sluice

namespace sluice::control {

inline constexpr Named<Role> kRoles[] = {{"prefill", Role::prefill}, {"decode", Role::decode}};

template <class T>
[[nodiscard]] Result<T> parse_message(const nlohmann::json& j, std::string_view what) {
  // A log-probability may be -inf, which CBOR carries.
  return read_fields<T>(j, {.what = std::string(what), .non_finite = true});
}

}  // namespace sluice::control

/// A message in both directions, and what errors call it.
#define SLUICE_MESSAGE(T, called)                                \
  nlohmann::json to_json(const T& m) { return write_fields(m); } \
  template <>                                                    \
  Result<T> parse(const nlohmann::json& j) {                     \
    return parse_message<T>(j, called);                          \
  }
