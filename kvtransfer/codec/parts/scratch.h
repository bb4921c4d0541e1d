#pragma once
// What codecs and their parts work in. One thread at a time; contents mean nothing between calls.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::kv {

/// Working memory reused between calls of one thread.
struct CodecScratch {
  std::vector<std::byte> bytes, packed;
  std::vector<std::uint8_t> symbols;
  std::vector<std::uint16_t> signs;
  std::vector<const std::byte*> rows_in, moved;
  std::vector<std::byte*> rows_out;
};

}  // namespace sluice::kv
