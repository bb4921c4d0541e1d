#pragma once
// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11): a counter-based
// generator. A draw is a pure function of (key, counter), so a sequence resumed at position k on another node
// draws what the first node would have drawn, with no state to replay. Part of the resume contract: never
// change its output.
#include <array>
#include <cstdint>

namespace sluice::engine {

[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key) noexcept;

/// Uniform in [0, 1) with 53 random bits, for one position of the sequence that owns `seed`.
[[nodiscard]] double uniform_at(std::uint64_t seed, std::uint64_t position) noexcept;

}  // namespace sluice::engine
