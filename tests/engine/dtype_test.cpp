#include "engine/dtype.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace sluice::engine;

TEST_CASE("f16 widens exactly, every value") {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const float want = static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(h)));
    const float got = f16_to_f32(static_cast<std::uint16_t>(h));
    if (std::isnan(want)) {
      REQUIRE(std::isnan(got));
    } else {
      REQUIRE(std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(want));
    }
  }
}

TEST_CASE("bf16 rounds to nearest even and survives the way there and back") {
  for (std::uint32_t h = 0; h < 0x10000; ++h) {
    const float f = bf16_to_f32(static_cast<std::uint16_t>(h));
    if (std::isnan(f)) {
      REQUIRE(std::isnan(bf16_to_f32(f32_to_bf16(f))));
    } else {
      REQUIRE(f32_to_bf16(f) == h);
    }
  }
  CHECK(bf16_to_f32(f32_to_bf16(1.0F + 0x1p-8F)) == 1.0F);                // tie to even, down
  CHECK(bf16_to_f32(f32_to_bf16(1.0F + 3 * 0x1p-8F)) == 1.0F + 0x1p-6F);  // tie to even, up
  CHECK(std::isinf(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::max()))));
}
