#pragma once
// Names and numbers that differ between processes. Threading: any. Failure: throws where the system has no randomness.
#include <cstdint>
#include <string>

namespace sluice {

/// "role-<8 hex>" from the system's randomness; the default node name.
[[nodiscard]] std::string random_name(const std::string& role);
/// A non-zero random number, new per process start.
[[nodiscard]] std::uint64_t random_incarnation();

}  // namespace sluice
