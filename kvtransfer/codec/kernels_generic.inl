// The kernels in plain C++, the reference for every instruction set. Included once by each kernels_*.cpp inside an
// unnamed namespace, so that each translation unit compiles its own copy under its own flags.

/// Scale for an absolute maximum given as bf16 bits. Rounded up, so that nothing but saturated input exceeds 127.
inline std::uint16_t q8_scale(std::uint16_t absmax) {
  const float s = bf16_to_f32(std::min(absmax, kBf16Max)) * (1.0F / 127.0F);
  const std::uint16_t bits = std::min(f32_to_bf16_up(s), kQ8MaxScale);
  return bits < kBf16MinNormal ? 0 : bits;
}

inline float q8_inverse(std::uint16_t scale) { return scale == 0 ? 0.0F : 1.0F / bf16_to_f32(scale); }

/// Comparisons stand so that NaN becomes 127, as minps and maxps have it.
inline std::int8_t q8_quantize(float x, float inverse) {
  float v = x * inverse;
  v = v < 127.0F ? v : 127.0F;
  v = v > -127.0F ? v : -127.0F;
  // To the nearest integer, ties to even: a sum of this size has no room for a fraction. Unlike lrintf, it vectorises.
  constexpr float kRounder = 0x1.8p23F;
  return static_cast<std::int8_t>(static_cast<std::int32_t>((v + kRounder) - kRounder));
}

inline std::uint16_t load_bf16(const std::byte* p, std::size_t i) { return load_le<std::uint16_t>(p + 2 * i); }
inline void store_bf16(std::byte* p, std::size_t i, std::uint16_t v) { store_le(p + 2 * i, v); }

/// Channels [from, to) of a group.
inline void q8_key_encode_range(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels, std::uint32_t from,
                         std::uint32_t to, std::byte* scales, std::byte* q) {
  constexpr std::uint32_t kTile = 256;
  std::uint16_t absmax[kTile];
  float inverse[kTile];
  for (std::uint32_t c0 = from; c0 < to; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, to - c0);
    std::fill_n(absmax, w, std::uint16_t{0});
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* x = rows[r] + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; ++c)
        absmax[c] = std::max(absmax[c], static_cast<std::uint16_t>(load_bf16(x, c) & kBf16Abs));
    }
    for (std::uint32_t c = 0; c < w; ++c) {
      const std::uint16_t s = q8_scale(absmax[c]);
      store_bf16(scales, c0 + c, s);
      inverse[c] = q8_inverse(s);
    }
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* __restrict x = rows[r] + 2 * std::size_t{c0};
      std::byte* __restrict out = q + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; ++c)
        out[c] = static_cast<std::byte>(q8_quantize(bf16_to_f32(load_bf16(x, c)), inverse[c]));
    }
  }
}

inline void q8_key_decode_range(const std::byte* scales, const std::byte* q, std::uint32_t n, std::uint32_t channels,
                         std::uint32_t from, std::uint32_t to, std::byte* const* rows) {
  for (std::uint32_t r = 0; r < n; ++r) {
    const std::byte* __restrict in = q + std::size_t{r} * channels;
    const std::byte* __restrict scale = scales;
    std::byte* __restrict x = rows[r];
    for (std::uint32_t c = from; c < to; ++c)
      store_bf16(x, c,
                 f32_to_bf16(static_cast<float>(static_cast<std::int8_t>(in[c])) * bf16_to_f32(load_bf16(scale, c))));
  }
}

/// Values [from, to) of one head; from > 0 only after a vector kernel did the ones before.
inline std::uint16_t absmax_of(const std::byte* x, std::uint32_t from, std::uint32_t to) {
  std::uint16_t m = 0;
  for (std::uint32_t i = from; i < to; ++i) m = std::max(m, static_cast<std::uint16_t>(load_bf16(x, i) & kBf16Abs));
  return m;
}

inline void q8_quantize_range(const std::byte* __restrict x, float inverse, std::uint32_t from, std::uint32_t to,
 std::byte* __restrict q) {
  for (std::uint32_t i = from; i < to; ++i)
    q[i] = static_cast<std::byte>(q8_quantize(bf16_to_f32(load_bf16(x, i)), inverse));
}

inline void q8_dequantize_range(const std::byte* __restrict q, float scale, std::uint32_t from, std::uint32_t to,
 std::byte* __restrict x) {
  for (std::uint32_t i = from; i < to; ++i)
    store_bf16(x, i, f32_to_bf16(static_cast<float>(static_cast<std::int8_t>(q[i])) * scale));
}

inline void q8_key_encode_generic(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels, std::byte* scales,
                           std::byte* q) {
  q8_key_encode_range(rows, n, channels, 0, channels, scales, q);
}

inline void q8_key_decode_generic(const std::byte* scales, const std::byte* q, std::uint32_t n, std::uint32_t channels,
                           std::byte* const* rows) {
  q8_key_decode_range(scales, q, n, channels, 0, channels, rows);
}

inline void q8_value_encode_generic(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                             std::byte* q) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* x = row + 2 * std::size_t{h} * head_dim;
    const std::uint16_t s = q8_scale(absmax_of(x, 0, head_dim));
    store_bf16(scales, h, s);
    q8_quantize_range(x, q8_inverse(s), 0, head_dim, q + std::size_t{h} * head_dim);
  }
}

inline void q8_value_decode_generic(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                             std::byte* row) {
  for (std::uint32_t h = 0; h < heads; ++h)
    q8_dequantize_range(q + std::size_t{h} * head_dim, bf16_to_f32(load_bf16(scales, h)), 0, head_dim,
                        row + 2 * std::size_t{h} * head_dim);
}

// ---- h4 ------------------------------------------------------------------------------------------------------------

inline constexpr std::uint32_t kLanes = 16;  // of every sum
inline constexpr float kNever = std::numeric_limits<float>::infinity();
/// Nearest centroid of a magnitude m (unit variance): quarter-wide bins hold at most one midpoint between centroids.
/// Code = kH4Base[b] + (4m >= kH4Midpoint[b]) with b = floor(min(4m, 15)).
inline constexpr float kH4Midpoint[16] = {kNever, 2 * (.1284F + .3880F),   2 * (.3880F + .6568F),  2 * (.6568F + .9423F),
                                          2 * (.9423F + 1.2562F), 2 * (1.2562F + 1.6180F), kNever, 2 * (1.6180F + 2.0690F),
                                          kNever, 2 * (2.0690F + 2.7326F), kNever, kNever,
                                          kNever, kNever, kNever, kNever};
inline constexpr std::int32_t kH4Base[16] = {0, 0, 1, 2, 3, 4, 5, 5, 6, 6, 7, 7, 7, 7, 7, 7};
/// What a four-bit code means, before its scale.
inline constexpr float kH4Value[16] = {.1284F,  .3880F,  .6568F,  .9423F,  1.2562F,  1.6180F,  2.0690F,  2.7326F,
                                       -.1284F, -.3880F, -.6568F, -.9423F, -1.2562F, -1.6180F, -2.0690F, -2.7326F};
/// Sums of squares outside these are computed on a rescaled vector.
inline constexpr float kH4MinSum = 1e-30F, kH4MaxSum = 1e37F;
inline constexpr std::uint32_t kMaxH4HeadDim = 1024;

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
  float squares[kMaxH4HeadDim];
  for (std::uint32_t i = 0; i < count; ++i) squares[i] = y[i] * y[i];
  return ordered_sum(squares, count);
}

/// Codes of a transformed vector with sum of squares ss; returns the best scale for them, before the block's 1 / block.
inline float h4_quantize(const float* y, std::uint32_t count, float ss, std::uint8_t* code) {
  const float to_bins = 4.0F / std::sqrt(ss / static_cast<float>(count));
  float yc[kMaxH4HeadDim], cc[kMaxH4HeadDim];
  for (std::uint32_t i = 0; i < count; ++i) {
    const float m = std::fabs(y[i]);
    float v = m * to_bins;
    v = v < 15.0F ? v : 15.0F;
    const auto b = static_cast<std::int32_t>(v);
    const std::int32_t k = kH4Base[b] + (v >= kH4Midpoint[b] ? 1 : 0);
    const float c = kH4Value[k];
    yc[i] = m * c;
    cc[i] = c * c;
    code[i] = static_cast<std::uint8_t>(k | (std::signbit(y[i]) ? 8 : 0));
  }
  return ordered_sum(yc, count) / ordered_sum(cc, count);
}

inline std::uint16_t h4_scale_bits(float scale, std::uint32_t block) {
  const std::uint16_t max = h4_max_scale(block);
  if (!(scale < bf16_to_f32(max))) return max;
  const std::uint16_t bits = f32_to_bf16(scale);
  return bits < kBf16MinNormal ? 0 : bits;
}

/// Vectors whose squares leave f32's comfortable range, and those with NaN (taken as 0) or infinity (taken as the
/// largest bf16): scaled by a power of two first.
inline std::uint16_t h4_encode_extreme(const H4Shape& s, const std::uint16_t* signs, const std::byte* x, std::uint8_t* code) {
  float y[kMaxH4HeadDim];
  float max = 0;
  for (std::uint32_t i = 0; i < s.head_dim; ++i) {
    std::uint16_t bits = load_bf16(x, i);
    const auto abs = static_cast<std::uint16_t>(bits & kBf16Abs);
    if (abs > kBf16Inf) bits = 0;
    if (abs == kBf16Inf) bits = static_cast<std::uint16_t>((bits & kBf16Sign) | kBf16Max);
    y[i] = bf16_to_f32(static_cast<std::uint16_t>(bits ^ signs[i]));
    max = std::max(max, std::fabs(y[i]));
  }
  std::fill_n(code, s.head_dim, std::uint8_t{0});
  if (max < 0x1p-110F) return 0;
  const int e = std::ilogb(max);
  for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = std::ldexp(y[i], -e);
  fwht(y, s.head_dim, s.block);
  const float scale = h4_quantize(y, s.head_dim, sum_of_squares(y, s.head_dim), code);
  return h4_scale_bits(std::ldexp(scale / static_cast<float>(s.block), e), s.block);
}

inline void h4_pack(const std::uint8_t* code, std::uint32_t head_dim, std::byte* out) {
  for (std::uint32_t i = 0; i < head_dim / 2; ++i)
    out[i] = static_cast<std::byte>(code[i] | (code[i + head_dim / 2] << 4));
}

/// transform: fwht() or what does the same faster.
template <auto transform>
void h4_encode_with(const H4Shape& s, const std::uint16_t* signs, const std::byte* row, std::byte* scales,
                       std::byte* codes) {
  float y[kMaxH4HeadDim];
  std::uint8_t code[kMaxH4HeadDim];
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    const std::byte* x = row + 2 * std::size_t{h} * s.head_dim;
    const std::uint16_t* sign = signs + std::size_t{h} * s.head_dim;
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      y[i] = bf16_to_f32(static_cast<std::uint16_t>(load_bf16(x, i) ^ sign[i]));
    transform(y, s.head_dim, s.block);
    const float ss = sum_of_squares(y, s.head_dim);
    std::uint16_t bits = 0;
    if (ss > kH4MinSum && ss < kH4MaxSum)
      bits = h4_scale_bits(h4_quantize(y, s.head_dim, ss, code) / static_cast<float>(s.block), s.block);
    else
      bits = h4_encode_extreme(s, sign, x, code);
    store_bf16(scales, h, bits);
    h4_pack(code, s.head_dim, codes + std::size_t{h} * (s.head_dim / 2));
  }
}

template <auto transform>
void h4_decode_with(const H4Shape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
                       std::byte* row) {
  float y[kMaxH4HeadDim];
  const std::uint32_t half = s.head_dim / 2;
  for (std::uint32_t h = 0; h < s.heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const std::byte* in = codes + std::size_t{h} * half;
    for (std::uint32_t i = 0; i < half; ++i) {
      const auto two = static_cast<unsigned>(in[i]);
      y[i] = kH4Value[two & 15] * scale;
      y[i + half] = kH4Value[two >> 4] * scale;
    }
    transform(y, s.head_dim, s.block);
    std::byte* x = row + 2 * std::size_t{h} * s.head_dim;
    const std::uint16_t* sign = signs + std::size_t{h} * s.head_dim;
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      store_bf16(x, i, static_cast<std::uint16_t>(f32_to_bf16(y[i]) ^ sign[i]));
  }
}

// ---- ll ------------------------------------------------------------------------------------------------------------

inline void ll_split_range(const std::byte* in, std::size_t from, std::size_t to, std::byte* exponents, std::byte* rest) {
  for (std::size_t i = from; i < to; ++i) {
    const unsigned v = load_bf16(in, i);
    exponents[i] = static_cast<std::byte>(v >> 7);
    rest[i] = static_cast<std::byte>(((v >> 8) & 0x80U) | (v & 0x7fU));
  }
}

inline void ll_join_range(const std::byte* exponents, const std::byte* rest, std::size_t from, std::size_t to,
                   std::byte* out) {
  for (std::size_t i = from; i < to; ++i) {
    const auto e = static_cast<unsigned>(exponents[i]), r = static_cast<unsigned>(rest[i]);
    store_bf16(out, i, static_cast<std::uint16_t>((r & 0x80U) << 8 | e << 7 | (r & 0x7fU)));
  }
}

inline void ll_split_generic(const std::byte* in, std::size_t n, std::byte* exponents, std::byte* rest) {
  ll_split_range(in, 0, n, exponents, rest);
}

inline void ll_join_generic(const std::byte* exponents, const std::byte* rest, std::size_t n, std::byte* out) {
  ll_join_range(exponents, rest, 0, n, out);
}
