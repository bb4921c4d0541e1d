#include "tests/engine_cpu/support.h"

using namespace sluice::engine;
using sluice::BlockId;
using namespace sluice::engine::test;

FOR_EACH_ISA("rms_norm agrees with double, in place and across strides", rms_norm) {
  auto ops = ops_for(isa, Precision::f32, 2);
  for (std::uint32_t width : {1U, 8U, 17U, 64U, 100U, 1024U, 2049U}) {
    constexpr std::uint32_t rows = 23;
    const std::uint32_t stride = width + 5;
    const auto x = random_values(std::size_t{rows} * stride, 11, 3.0F), weight = random_values(width, 12);
    std::vector<float> y(std::size_t{rows} * width);
    ops->rms_norm(x.data(), weight.data(), 1e-5F, y.data(), rows, width, stride, width);
    for (std::uint32_t r = 0; r < rows; ++r) {
      double squares = 0;
      for (std::uint32_t i = 0; i < width; ++i) squares += std::pow(double{x[r * stride + i]}, 2);
      const double scale = 1.0 / std::sqrt(squares / width + 1e-5);
      for (std::uint32_t i = 0; i < width; ++i)
        REQUIRE(y[r * width + i] == Approx(x[r * stride + i] * scale * weight[i]).epsilon(1e-5).margin(1e-7));
    }
    auto in_place = x;
    ops->rms_norm(in_place.data(), weight.data(), 1e-5F, in_place.data(), rows, width, stride, stride);
    for (std::uint32_t r = 0; r < rows; ++r)
      REQUIRE(same_bits(in_place.data() + std::size_t{r} * stride, y.data() + std::size_t{r} * width, width));
  }
}

FOR_EACH_ISA("rope rotates pairs half a head apart", rope) {
  auto ops = ops_for(isa, Precision::f32, 2);
  for (std::uint32_t dim : {2U, 6U, 32U, 80U, 128U}) {
    constexpr std::uint32_t heads = 3;
    const std::uint32_t stride = heads * dim + 4;
    const std::vector<std::int32_t> positions{0, 1, 7, 4095, 100000};
    const auto m = static_cast<std::uint32_t>(positions.size());
    std::vector<float> inv_freq(dim / 2);
    for (std::uint32_t i = 0; i < dim / 2; ++i) inv_freq[i] = std::pow(10000.0F, -2.0F * i / dim);
    const auto x = random_values(std::size_t{m} * stride, 13);
    auto y = x;
    ops->rope(y.data(), stride, heads, dim, positions.data(), inv_freq.data(), 1.25F, m);
    for (std::uint32_t r = 0; r < m; ++r)
      for (std::uint32_t h = 0; h < heads; ++h)
        for (std::uint32_t i = 0; i < dim / 2; ++i) {
          const std::size_t lo = std::size_t{r} * stride + h * dim + i, hi = lo + dim / 2;
          const double angle = static_cast<float>(positions[r]) * inv_freq[i];
          const double c = 1.25 * std::cos(angle), s = 1.25 * std::sin(angle);
          REQUIRE(y[lo] == Approx(x[lo] * c - x[hi] * s).margin(2e-6));
          REQUIRE(y[hi] == Approx(x[hi] * c + x[lo] * s).margin(2e-6));
        }
    // Other positions after these: the kept table must not be taken for theirs.
    auto z = x;
    const std::vector<std::int32_t> moved{0, 1, 8, 4095, 100000};
    ops->rope(z.data(), stride, heads, dim, moved.data(), inv_freq.data(), 1.25F, m);
    REQUIRE(same_bits(z.data(), y.data(), 2 * std::size_t{stride}));
    REQUIRE_FALSE(same_bits(z.data() + 2 * std::size_t{stride}, y.data() + 2 * std::size_t{stride}, dim));
    // One row alone.
    std::vector<float> one(x.begin() + 3 * std::ptrdiff_t{stride}, x.begin() + 4 * std::ptrdiff_t{stride});
    ops->rope(one.data(), stride, heads, dim, positions.data() + 3, inv_freq.data(), 1.25F, 1);
    REQUIRE(same_bits(one.data(), y.data() + 3 * std::size_t{stride}, stride));
  }
}

FOR_EACH_ISA("silu_mul agrees with double over the whole range", silu_mul) {
  auto ops = ops_for(isa, Precision::f32, 2);
  for (std::uint32_t ffn : {1U, 15U, 16U, 33U, 700U}) {
    constexpr std::uint32_t m = 31;
    auto x = random_values(std::size_t{m} * 2 * ffn, 14, 4.0F);
    x[0] = -80.0F;
    x[2 * ffn] = 100.0F;
    x[4 * ffn] = 0.0F;
    std::vector<float> y(std::size_t{m} * ffn), one(ffn);
    ops->silu_mul(x.data(), y.data(), m, ffn);
    for (std::uint32_t r = 0; r < m; ++r) {
      for (std::uint32_t i = 0; i < ffn; ++i) {
        const double g = x[r * 2 * ffn + i], u = x[r * 2 * ffn + ffn + i];
        REQUIRE(y[r * ffn + i] == Approx(g / (1.0 + std::exp(-g)) * u).epsilon(1e-5).margin(1e-30));
      }
      ops->silu_mul(x.data() + std::size_t{r} * 2 * ffn, one.data(), 1, ffn);
      REQUIRE(same_bits(one.data(), y.data() + std::size_t{r} * ffn, ffn));
    }
  }
}

FOR_EACH_ISA("add adds", add) {
  auto ops = ops_for(isa, Precision::f32, 2);
  for (std::size_t n : {std::size_t{1}, std::size_t{37}, std::size_t{100003}}) {
    auto x = random_values(n, 15);
    const auto y = random_values(n, 16);
    auto want = x;
    for (std::size_t i = 0; i < n; ++i) want[i] += y[i];
    ops->add(x.data(), y.data(), n);
    REQUIRE(same_bits(x, want));
  }
}

FOR_EACH_ISA("kv_write rounds as engine/dtype.h does, and touches no other slot", kv_write) {
  auto ops = ops_for(isa, Precision::bf16, 2);
  constexpr std::uint32_t width = 37, block_size = 3, stride = 40;
  auto k = random_values(4 * stride, 17);
  const auto v = random_values(4 * stride, 18);
  const float special[] = {0.0F, -0.0F, 1e-40F, -1e-42F, INFINITY, -INFINITY, NAN, 3.4e38F, 1.00390625F, 1.01171875F};
  std::copy(std::begin(special), std::end(special), k.begin() + stride);
  std::copy(std::begin(special), std::end(special), k.begin() + stride + 30 - 3);  // into the tail as well
  const std::vector<BlockId> blocks{BlockId(4), BlockId(0), BlockId(2)};
  const AttentionSeq seq{1, 3, 4, blocks.data()};  // rows 1..3 go to positions 4, 5 and 6: slots 1, 2 and 6
  const std::size_t slots[] = {1, 2, 6};
  for (DType dtype : {DType::bf16, DType::f32}) {
    const std::size_t elem = size_of(dtype);
    std::vector<std::byte> keys(5 * block_size * width * elem, std::byte{0xee}), values = keys;
    ops->kv_write({k.data(), v.data(), stride, keys.data(), values.data(), dtype, width, block_size, {&seq, 1}});
    const auto stored = [&](const std::vector<float>& from, std::size_t slot, std::size_t i, const std::byte* at) {
      const auto* found = std::find(std::begin(slots), std::end(slots), slot);
      if (found == std::end(slots)) return *at == std::byte{0xee};
      const float f = from[(1 + static_cast<std::size_t>(found - slots)) * stride + i];
      const std::uint16_t h = f32_to_bf16(f);
      return std::memcmp(at, dtype == DType::f32 ? static_cast<const void*>(&f) : &h, elem) == 0;
    };
    for (std::size_t slot = 0; slot < 5 * block_size; ++slot)
      for (std::size_t i = 0; i < width; ++i) {
        INFO("slot " << slot << " value " << i);
        REQUIRE(stored(k, slot, i, keys.data() + (slot * width + i) * elem));
        REQUIRE(stored(v, slot, i, values.data() + (slot * width + i) * elem));
      }
  }
}
