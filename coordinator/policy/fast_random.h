#pragma once
// Random numbers for the way of a decision: xoshiro256++ (Blackman and Vigna, public domain) and normal deviates from a
// table, since a decision may draw a thousand of them. The same seed gives the same sequence on every machine.
#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::coordinator {

class FastRandom {
 public:
  explicit FastRandom(std::uint64_t seed) {
    for (auto& s : state_) {  // splitmix64
      seed += 0x9e3779b97f4a7c15ULL;
      std::uint64_t z = seed;
      z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
      z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
      s = z ^ (z >> 31U);
    }
  }

  std::uint64_t next() noexcept {
    const std::uint64_t out = rotate(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return out;
  }
  /// In [0, 1).
  double uniform() noexcept { return static_cast<double>(next() >> 11U) * 0x1p-53; }
  /// Standard normal, one of kTable equally likely quantiles.
  float normal() noexcept { return table_[next() % kTable]; }

 private:
  static constexpr std::size_t kTable = 4096;
  static std::uint64_t rotate(std::uint64_t x, unsigned k) noexcept { return (x << k) | (x >> (64U - k)); }
  /// The quantiles, kTable of them. In a file of its own: a compiler that sees how they are made spends seconds on
  /// them.
  static const float* quantiles();

  const float* table_ = quantiles();
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace sluice::coordinator
