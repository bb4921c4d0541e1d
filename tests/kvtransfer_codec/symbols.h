#pragma once
// Symbols and tables for the coders' tests.
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kvtransfer/codec/parts/symbol_plane.h"
#include "tests/kvtransfer_codec/segments.h"

namespace sluice::kv::test {

using Symbols = std::vector<std::uint8_t>;
using Freqs = std::vector<std::uint16_t>;

inline std::vector<std::pair<std::string, Freqs>> tables() {
  Freqs first(16, 1), last(16, 1);
  first[0] = last[15] = 241;
  return {{"one bit", {128, 128}},
          {"as good as one symbol", {255, 1}},
          {"Gaussian", {26, 25, 23, 20, 15, 11, 6, 2, 26, 25, 23, 20, 15, 11, 6, 2}},
          {"uniform", Freqs(16, 16)},
          {"mostly the first", first},
          {"mostly the last", last},
          {"odd", {1, 2, 3, 250}},
          {"falling", {100, 70, 40, 20, 10, 9, 7}}};
}

inline Symbols drawn(const Freqs& freqs, std::size_t n, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::discrete_distribution<int> pick(freqs.begin(), freqs.end());
  Symbols s(n);
  for (auto& x : s) x = static_cast<std::uint8_t>(pick(gen));
  return s;
}

/// What a table was made for, and what it was not.
inline std::vector<std::pair<std::string, Symbols>> inputs(const Freqs& freqs, std::size_t n) {
  Symbols ramp(n);
  for (std::size_t i = 0; i < n; ++i) ramp[i] = static_cast<std::uint8_t>(i % freqs.size());
  return {{"drawn", drawn(freqs, n, 1)},
          {"flat", drawn(Freqs(freqs.size(), 1), n, 2)},
          {"all the first", Symbols(n, 0)},
          {"all the last", Symbols(n, static_cast<std::uint8_t>(freqs.size() - 1))},
          {"ramp", ramp}};
}

}  // namespace sluice::kv::test
