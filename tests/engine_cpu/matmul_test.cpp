#include "tests/engine_cpu/support.h"

using namespace sluice::engine;
using namespace sluice::engine::test;

namespace {

struct WeightMatrix {
  std::vector<std::uint16_t> values;  // [n, k] bf16
  std::uint32_t n, k;
  [[nodiscard]] WeightView view() const { return {values.data(), DType::bf16, n, k}; }
  [[nodiscard]] double at(std::uint32_t r, std::uint32_t c) const {
    return bf16_to_f32(values[std::size_t{r} * k + c]);
  }
};

WeightMatrix random_weights(std::uint32_t n, std::uint32_t k, std::uint32_t seed) {
  WeightMatrix w{{}, n, k};
  for (float f : random_values(std::size_t{n} * k, seed, 0.5F)) w.values.push_back(f32_to_bf16(f));
  return w;
}

std::vector<float> multiply(Ops& ops, const float* x, const PackedMatrix& w, const float* bias, std::uint32_t m) {
  std::vector<float> y(std::size_t{m} * w.n(), -7.0F);
  ops.matmul(x, w, bias, y.data(), m);
  return y;
}

struct Shape {
  std::uint32_t n, k, m;
};

}  // namespace

FOR_EACH_ISA("matmul agrees with sums in double", matmul_reference) {
  for (Precision precision : {Precision::bf16, Precision::f32})
    for (const Shape s : {Shape{1, 1, 1}, Shape{5, 3, 2}, Shape{33, 31, 7}, Shape{64, 64, 13}, Shape{97, 513, 5},
                          Shape{130, 1030, 25}, Shape{40, 255, 250}}) {
      auto ops = ops_for(isa, precision, 2);
      const auto a = random_weights(s.n / 2, s.k, 1), b = random_weights(s.n - s.n / 2, s.k, 2);
      const WeightView parts[] = {a.view(), b.view()};
      const auto packed = ops->pack(parts);
      REQUIRE(packed->n() == s.n);
      REQUIRE(packed->k() == s.k);
      REQUIRE(packed->bytes() >= std::size_t{s.n} * s.k * (precision == Precision::bf16 ? 2 : 4));
      const auto x = random_values(std::size_t{s.m} * s.k, 3), bias = random_values(s.n, 4);
      const auto y = multiply(*ops, x.data(), *packed, bias.data(), s.m);
      double worst = 0;
      for (std::uint32_t r = 0; r < s.m; ++r)
        for (std::uint32_t c = 0; c < s.n; ++c) {
          double want = bias[c], magnitude = std::abs(want) + 1e-30;
          for (std::uint32_t i = 0; i < s.k; ++i) {
            const float xv = x[std::size_t{r} * s.k + i];
            const double w = c < a.n ? a.at(c, i) : b.at(c - a.n, i);
            const double product = w * (precision == Precision::bf16 ? as_bf16(xv) : xv);
            want += product;
            magnitude += std::abs(product);
          }
          worst = std::max(worst, std::abs(y[std::size_t{r} * s.n + c] - want) / magnitude);
        }
      INFO("n " << s.n << " k " << s.k << " m " << s.m);
      REQUIRE(worst < 5e-6);
    }
}

FOR_EACH_ISA("a row of a product does not depend on the rows beside it or on threads", matmul_rows) {
  constexpr std::uint32_t n = 200, k = 1101, most = 300;
  for (Precision precision : {Precision::bf16, Precision::f32}) {
    const auto w = random_weights(n, k, 5);
    const WeightView parts[] = {w.view()};
    const auto x = random_values(std::size_t{most} * k, 6), bias = random_values(n, 7);
    std::vector<float> single;  // each row computed alone, on one thread
    auto alone = ops_for(isa, precision, 1);
    const auto packed_alone = alone->pack(parts);
    for (std::uint32_t r = 0; r < most; ++r) {
      const auto y = multiply(*alone, x.data() + std::size_t{r} * k, *packed_alone, bias.data(), 1);
      single.insert(single.end(), y.begin(), y.end());
    }
    for (std::uint32_t threads : {1U, 2U, 3U}) {
      auto ops = ops_for(isa, precision, threads);
      const auto packed = ops->pack(parts);
      for (std::uint32_t m : {1U, 2U, 3U, 5U, 12U, 13U, 16U, 33U, 64U, 200U, 300U}) {
        const auto y = multiply(*ops, x.data(), *packed, bias.data(), m);
        INFO("threads " << threads << " m " << m);
        REQUIRE(same_bits(y.data(), single.data(), std::size_t{m} * n));
      }
    }
  }
}

FOR_EACH_ISA("weights of every stored type are read", matmul_dtypes) {
  // Values that bf16 and f16 both hold exactly, so all three types must give the same product.
  constexpr std::uint32_t n = 37, k = 50;
  std::vector<float> f32;
  std::vector<std::uint16_t> bf16, f16;
  for (std::uint32_t i = 0; i < n * k; ++i) {
    f32.push_back(static_cast<float>(static_cast<int>(i * 7 % 33) - 16) / 4.0F);
    bf16.push_back(f32_to_bf16(f32.back()));
    f16.push_back(std::bit_cast<std::uint16_t>(static_cast<_Float16>(f32.back())));
  }
  const auto x = random_values(3 * k, 8);
  for (Precision precision : {Precision::bf16, Precision::f32}) {
    auto ops = ops_for(isa, precision, 1);
    const WeightView a[] = {{f32.data(), DType::f32, n, k}}, b[] = {{bf16.data(), DType::bf16, n, k}},
                     c[] = {{f16.data(), DType::f16, n, k}};
    const auto y = multiply(*ops, x.data(), *ops->pack(a), nullptr, 3);
    REQUIRE(same_bits(y, multiply(*ops, x.data(), *ops->pack(b), nullptr, 3)));
    REQUIRE(same_bits(y, multiply(*ops, x.data(), *ops->pack(c), nullptr, 3)));
  }
}
