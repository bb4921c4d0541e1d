// The book quantizers in plain C++, in the same way as kernels_generic.inl, which they bring along.
#include "kvtransfer/codec/kernels_generic.inl"

inline constexpr std::uint32_t kLanes = 16;  // of every sum
/// Sums of squares outside these are computed on a rescaled vector.
inline constexpr float kMinSum = 1e-30F, kMaxSum = 1e37F;

/// The order of every sum over a vector: 16 lanes each for its lower and its upper half, halves added, then lanes
/// folded. What a vector kernel does without waiting for itself.
inline float ordered_sum(const float* v, std::uint32_t count) {
  const std::uint32_t half = count / 2;
  float lower[kLanes] = {}, upper[kLanes] = {};
  for (std::uint32_t i = 0; i < half; i += kLanes) {
    const std::uint32_t n = std::min(kLanes, half - i);
    for (std::uint32_t l = 0; l < n; ++l) lower[l] += v[i + l];
    for (std::uint32_t l = 0; l < n; ++l) upper[l] += v[half + i + l];
  }
  for (std::uint32_t l = 0; l < kLanes; ++l) lower[l] += upper[l];
  for (std::uint32_t fold = kLanes / 2; fold > 0; fold /= 2)
    for (std::uint32_t l = 0; l < fold; ++l) lower[l] += lower[l + fold];
  return lower[0];
}

/// Unscaled Walsh-Hadamard transform of each block: h = 1, 2, 4, ... in this order.
inline void fwht(float* y, std::uint32_t count, std::uint32_t block) {
  for (std::uint32_t b = 0; b < count; b += block)
    for (std::uint32_t h = 1; h < block; h *= 2)
      for (std::uint32_t i = b; i < b + block; i += 2 * h)
        for (std::uint32_t j = i; j < i + h; ++j) {
          const float u = y[j], v = y[j + h];
          y[j] = u + v;
          y[j + h] = u - v;
        }
}

inline float sum_of_squares(const float* y, std::uint32_t count) {
  float squares[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < count; ++i) squares[i] = y[i] * y[i];
  return ordered_sum(squares, count);
}

/// Symbols of y * inverse, and what they mean.
inline void book_symbols(const Book& b, const float* y, std::uint32_t count, float inverse, std::uint8_t* symbol,
                         float* means) {
  if (b.quantizer == Quantizer::uniform) {
    const float to_steps = inverse * b.inverse_step;
    const auto middle = static_cast<float>(b.levels / 2);
    for (std::uint32_t i = 0; i < count; ++i) {
      float v = y[i] * to_steps;
      v = v < middle ? v : middle;
      v = v > -middle ? v : -middle;
      symbol[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(round_even(v)) +
                                            static_cast<std::int32_t>(b.levels / 2));
    }
  } else {
    const std::uint32_t sign = b.bits - 1;
    for (std::uint32_t i = 0; i < count; ++i) {
      const float m = std::fabs(y[i]) * inverse;
      std::uint32_t k = 0;
      for (const float mid : b.midpoint) k += m >= mid ? 1U : 0U;
      symbol[i] = static_cast<std::uint8_t>(k | (std::bit_cast<std::uint32_t>(y[i]) >> 31) << sign);
    }
  }
  for (std::uint32_t i = 0; i < count; ++i) means[i] = b.value[symbol[i]];
}

/// Scale with the least squared error for given symbols.
inline float best_scale(const float* y, const float* means, std::uint32_t count) {
  float yc[kMaxBookHeadDim], cc[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < count; ++i) {
    yc[i] = y[i] * means[i];
    cc[i] = means[i] * means[i];
  }
  const float power = ordered_sum(cc, count);
  return power > 0.0F ? ordered_sum(yc, count) / power : 0.0F;
}

inline std::uint16_t book_scale_bits(Quantizer q, float scale, std::uint32_t block) {
  const std::uint16_t max = book_max_scale(q, block);
  if (!(scale < bf16_to_f32(max))) return max;
  const std::uint16_t bits = f32_to_bf16(scale);
  return bits < kBf16MinNormal ? 0 : bits;
}

/// Quantizes a transformed vector with sum of squares ss in the comfortable range, times 2^exponent.
inline void book_quantize(const BookShape& s, const float* y, float ss, int exponent, std::byte* scale,
                          std::uint8_t* symbol) {
  float means[kMaxBookHeadDim];
  const float norm = std::sqrt(ss / static_cast<float>(s.head_dim));
  const auto block = static_cast<float>(s.block);
  if (s.scale == Scale::bf16) {
    book_symbols(*s.book, y, s.head_dim, 1.0F / norm, symbol, means);
    float best = best_scale(y, means, s.head_dim) / block;
    if (exponent != 0) best = std::ldexp(best, exponent);
    store_bf16(scale, 0, book_scale_bits(s.book->quantizer, best, s.block));
    return;
  }
  float rms = norm / block;
  if (exponent != 0) rms = std::ldexp(rms, exponent);
  const std::uint8_t code = log8::code(rms);
  *scale = static_cast<std::byte>(code);
  // For the scale as it will be read. Zero stands for zero.
  float inverse = 1.0F / (log8::value(code) * block);
  if (exponent != 0) inverse = std::ldexp(inverse, exponent);
  if (code == 0)
    std::fill_n(symbol, s.head_dim, s.book->zero());
  else
    book_symbols(*s.book, y, s.head_dim, inverse, symbol, means);
}

/// Vectors whose squares leave f32's comfortable range, and those with NaN (taken as 0) or infinity (taken as the
/// largest bf16): scaled by a power of two first.
inline void book_encode_extreme(const BookShape& s, const std::uint16_t* signs, const std::byte* x, std::byte* scale,
                                std::uint8_t* symbol) {
  float y[kMaxBookHeadDim];
  float max = 0;
  for (std::uint32_t i = 0; i < s.head_dim; ++i) {
    std::uint16_t bits = load_bf16(x, i);
    const auto abs = static_cast<std::uint16_t>(bits & kBf16Abs);
    if (abs > kBf16Inf) bits = 0;
    if (abs == kBf16Inf) bits = static_cast<std::uint16_t>((bits & kBf16Sign) | kBf16Max);
    y[i] = bf16_to_f32(static_cast<std::uint16_t>(s.block > 1 ? bits ^ signs[i] : bits));
    max = std::max(max, std::fabs(y[i]));
  }
  if (max < 0x1p-110F) {
    std::fill_n(symbol, s.head_dim, s.book->zero());
    std::fill_n(scale, scale_bytes(s.scale), std::byte{0});
    return;
  }
  const int e = std::ilogb(max);
  for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = std::ldexp(y[i], -e);
  if (s.block > 1) fwht(y, s.head_dim, s.block);
  book_quantize(s, y, sum_of_squares(y, s.head_dim), e, scale, symbol);
}

/// transform: fwht() or what does the same faster. One head.
template <auto transform>
inline void book_encode_vector(const BookShape& s, const std::uint16_t* sign, const std::byte* x, std::byte* scale,
                               std::uint8_t* symbol) {
  float y[kMaxBookHeadDim];
  if (s.block > 1) {
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      y[i] = bf16_to_f32(static_cast<std::uint16_t>(load_bf16(x, i) ^ sign[i]));
    transform(y, s.head_dim, s.block);
  } else {
    for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = bf16_to_f32(load_bf16(x, i));
  }
  const float ss = sum_of_squares(y, s.head_dim);
  if (ss > kMinSum && ss < kMaxSum)
    book_quantize(s, y, ss, 0, scale, symbol);
  else
    book_encode_extreme(s, sign, x, scale, symbol);
}

inline float book_scale(const BookShape& s, const std::byte* scales, std::uint32_t head) {
  return s.scale == Scale::bf16 ? bf16_to_f32(load_bf16(scales, head))
                                : log8::value(static_cast<std::uint8_t>(scales[head]));
}

template <auto transform>
inline void book_decode_vector(const BookShape& s, const std::uint16_t* sign, float scale, const std::uint8_t* symbol,
                               std::byte* x) {
  float y[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = s.book->value[symbol[i]] * scale;
  if (s.block > 1) {
    transform(y, s.head_dim, s.block);
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      store_bf16(x, i, static_cast<std::uint16_t>(f32_to_bf16(y[i]) ^ sign[i]));
  } else {
    for (std::uint32_t i = 0; i < s.head_dim; ++i) store_bf16(x, i, f32_to_bf16(y[i]));
  }
}

inline const std::uint16_t* signs_at(const BookShape& s, const std::uint16_t* signs, std::uint32_t head) {
  return s.block > 1 ? signs + std::size_t{head} * s.head_dim : nullptr;
}

template <auto transform>
void book_encode_with(const BookShape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                      std::uint8_t* symbols) {
  for (std::uint32_t h = 0; h < s.heads; ++h)
    book_encode_vector<transform>(s, signs_at(s, signs, h), row + 2 * std::size_t{h} * s.head_dim,
                                  scales + h * scale_bytes(s.scale), symbols + std::size_t{h} * s.head_dim);
}

template <auto transform>
void book_decode_with(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                      const std::uint8_t* symbols, std::byte* row) {
  for (std::uint32_t h = 0; h < s.heads; ++h)
    book_decode_vector<transform>(s, signs_at(s, signs, h), book_scale(s, scales, h),
                                  symbols + std::size_t{h} * s.head_dim, row + 2 * std::size_t{h} * s.head_dim);
}

template <auto transform>
void book_encode_packed_with(const BookShape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                             std::byte* codes) {
  std::uint8_t symbols[kMaxBookHeadDim];
  const std::size_t each = std::size_t{s.head_dim} * s.book->bits / 8;
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    book_encode_vector<transform>(s, signs_at(s, signs, h), row + 2 * std::size_t{h} * s.head_dim,
                                  scales + h * scale_bytes(s.scale), symbols);
    pack_generic(s.book->bits, 1, s.head_dim, symbols, codes + h * each);
  }
}

template <auto transform>
void book_decode_packed_with(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                             const std::byte* codes, std::byte* row) {
  std::uint8_t symbols[kMaxBookHeadDim];
  const std::size_t each = std::size_t{s.head_dim} * s.book->bits / 8;
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    unpack_generic(s.book->bits, 1, s.head_dim, codes + h * each, symbols);
    book_decode_vector<transform>(s, signs_at(s, signs, h), book_scale(s, scales, h), symbols,
                                  row + 2 * std::size_t{h} * s.head_dim);
  }
}

// ---- transforms in front of other quantizers -------------------------------------------------------------------------

inline float clamp_finite(float x) {
  const float v = x < kMinmaxMost ? x : kMinmaxMost;
  return v > -kMinmaxMost ? v : -kMinmaxMost;
}

template <auto transform>
void row_forward_with(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block,
                      const std::uint16_t* signs, const float* shift, const float* inverse, std::byte* out) {
  float y[kMaxBookHeadDim];
  const float norm = 1.0F / std::sqrt(static_cast<float>(block));
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::size_t at = std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < head_dim; ++i) {
      y[i] = clamp_finite(bf16_to_f32(load_bf16(row, at + i)));
      if (shift != nullptr) y[i] = (y[i] - shift[at + i]) * inverse[at + i];
    }
    if (block > 1) {
      for (std::uint32_t i = 0; i < head_dim; ++i) y[i] = signs[at + i] != 0 ? -y[i] : y[i];
      transform(y, head_dim, block);
      for (std::uint32_t i = 0; i < head_dim; ++i) y[i] *= norm;
    }
    for (std::uint32_t i = 0; i < head_dim; ++i) store_bf16(out, at + i, f32_to_bf16(y[i]));
  }
}

template <auto transform>
void row_backward_with(std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block,
                       const std::uint16_t* signs, const float* shift, const float* scale) {
  float y[kMaxBookHeadDim];
  const float norm = 1.0F / std::sqrt(static_cast<float>(block));
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::size_t at = std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < head_dim; ++i) y[i] = clamp_finite(bf16_to_f32(load_bf16(row, at + i)));
    if (block > 1) {
      transform(y, head_dim, block);
      for (std::uint32_t i = 0; i < head_dim; ++i) y[i] = signs[at + i] != 0 ? -(y[i] * norm) : y[i] * norm;
    }
    if (shift != nullptr)
      for (std::uint32_t i = 0; i < head_dim; ++i) y[i] = y[i] * scale[at + i] + shift[at + i];
    for (std::uint32_t i = 0; i < head_dim; ++i) store_bf16(row, at + i, f32_to_bf16(y[i]));
  }
}
