#pragma once
// Messages that every request costs, as CBOR at once: the same value as their JSON form, made without that.
// Threading: values. Failure: none.
#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::control {

struct ReserveRequest;
struct PrefillRequest;

/// A message's body.
struct Encoded {
  explicit Encoded(std::vector<std::uint8_t> bytes) : cbor(std::move(bytes)) {}
  std::vector<std::uint8_t> cbor;
};

[[nodiscard]] Encoded encode(const ReserveRequest&);
[[nodiscard]] Encoded encode(const PrefillRequest&);

}  // namespace sluice::control
