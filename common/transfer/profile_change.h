#pragma once
// Where in a transfer its profile changed, told by position: from a token on (until the next step's), the frames of
// `layer` and those after it went under the other profile. Frame numbers would not do, since they depend on what else
// was computed meanwhile, and a resumed answer needs the same KV again. Messages carry the steps;
// node/kv/profile_change makes and reads them. Threading: values.
#include <cstddef>
#include <cstdint>

namespace sluice {

struct ChangeStep {
  std::uint32_t token = 0, layer = 0;
  friend bool operator==(const ChangeStep&, const ChangeStep&) = default;
};

inline constexpr std::size_t kMaxChangeSteps = 16;

}  // namespace sluice
