#pragma once
// Segments for codec tests: rows in pages that are allocations of their own, so that a sanitizer sees any step outside.
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv::test {

/// Paged memory for the rows of one segment.
class Pages {
 public:
  explicit Pages(const SegmentShape& s, std::uint32_t rows_per_page = 16, std::uint32_t first_row = 5)
      : shape_(s), rows_per_page_(rows_per_page), first_row_(first_row % rows_per_page) {
    const std::size_t count = (std::size_t{first_row_} + s.tokens + rows_per_page - 1) / rows_per_page;
    for (std::size_t i = 0; i < count; ++i) {
      pages_.push_back(std::make_unique<std::byte[]>(rows_per_page * s.row_bytes()));
      mut_.push_back(pages_.back().get());
      const_.push_back(pages_.back().get());
    }
  }
  [[nodiscard]] ConstRows reading() const { return {const_, rows_per_page_, first_row_, shape_.row_bytes()}; }
  [[nodiscard]] MutRows writing() { return {mut_, rows_per_page_, first_row_, shape_.row_bytes()}; }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> all(shape_.raw_bytes());
    for (std::uint32_t r = 0; r < shape_.tokens; ++r)
      std::memcpy(all.data() + r * shape_.row_bytes(), reading().row(r), shape_.row_bytes());
    return all;
  }
  void set_bytes(const std::vector<std::byte>& all) {
    for (std::uint32_t r = 0; r < shape_.tokens; ++r)
      std::memcpy(writing().row(r), all.data() + r * shape_.row_bytes(), shape_.row_bytes());
  }
  /// bf16 values, [tokens, kv_heads * head_dim].
  [[nodiscard]] std::vector<float> values() const {
    const auto raw = bytes();
    std::vector<float> v(raw.size() / 2);
    for (std::size_t i = 0; i < v.size(); ++i) {
      std::uint16_t b = 0;
      std::memcpy(&b, raw.data() + 2 * i, 2);
      v[i] = bf16_to_f32(b);
    }
    return v;
  }
  void set_values(const std::vector<float>& v) {
    std::vector<std::byte> raw(2 * v.size());
    for (std::size_t i = 0; i < v.size(); ++i) {
      const std::uint16_t b = f32_to_bf16(v[i]);
      std::memcpy(raw.data() + 2 * i, &b, 2);
    }
    set_bytes(raw);
  }

 private:
  SegmentShape shape_;
  std::uint32_t rows_per_page_, first_row_;
  std::vector<std::unique_ptr<std::byte[]>> pages_;
  std::vector<std::byte*> mut_;
  std::vector<const std::byte*> const_;
};

/// KV as models make it: every channel has its own mean and spread, a few key channels are larger by an order of
/// magnitude, neighbouring tokens are alike.
inline std::vector<float> realistic(const SegmentShape& s, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<float> normal;
  const std::size_t channels = std::size_t{s.kv_heads} * s.head_dim;
  std::vector<float> mean(channels), spread(channels), last(channels), v(channels * s.tokens);
  for (std::size_t c = 0; c < channels; ++c) {
    const bool outlier = s.kind == KvKind::key && gen() % 40 == 0;
    spread[c] = std::exp(0.5F * normal(gen)) * (outlier ? 8.0F : 1.0F);
    mean[c] = s.kind == KvKind::key ? spread[c] * normal(gen) * 1.5F : 0.0F;
  }
  for (std::size_t t = 0; t < s.tokens; ++t)
    for (std::size_t c = 0; c < channels; ++c) {
      last[c] = 0.7F * last[c] + 0.7F * normal(gen);
      v[t * channels + c] = mean[c] + spread[c] * last[c];
    }
  return v;
}

inline std::vector<std::byte> random_bytes(std::size_t n, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::vector<std::byte> b(n);
  for (auto& x : b) x = static_cast<std::byte>(gen());
  return b;
}

}  // namespace sluice::kv::test
