// The kernels in plain C++, the reference for every instruction set. Included once by each instruction set's file
// inside an unnamed namespace, so that each translation unit compiles its own copy under its own flags.

/// Scale for an absolute maximum given as bf16 bits. Rounded up, so that nothing but saturated input exceeds the top.
inline std::uint16_t scale_under(std::uint16_t absmax, float one_over_top) {
  const float s = bf16_to_f32(std::min(absmax, kBf16Max)) * one_over_top;
  const std::uint16_t bits = std::min(f32_to_bf16_up(s), kAbsmaxMaxScale);
  return bits < kBf16MinNormal ? 0 : bits;
}
inline std::uint16_t absmax8_scale(std::uint16_t absmax) { return scale_under(absmax, 1.0F / 127.0F); }

inline float inverse_of(std::uint16_t scale) { return scale == 0 ? 0.0F : 1.0F / bf16_to_f32(scale); }

/// To the nearest integer, ties to even, for |v| < 2^22: a sum of this size has no room for a fraction. Unlike lrintf,
/// it vectorises.
inline float round_even(float v) {
  constexpr float kRounder = 0x1.8p23F;
  return (v + kRounder) - kRounder;
}

/// Comparisons stand so that NaN becomes 127, as minps and maxps have it.
inline std::int8_t absmax8_quantize(float x, float inverse) {
  float v = x * inverse;
  v = v < 127.0F ? v : 127.0F;
  v = v > -127.0F ? v : -127.0F;
  return static_cast<std::int8_t>(static_cast<std::int32_t>(round_even(v)));
}

inline std::uint16_t load_bf16(const std::byte* p, std::size_t i) { return load_le<std::uint16_t>(p + 2 * i); }
inline void store_bf16(std::byte* p, std::size_t i, std::uint16_t v) { store_le(p + 2 * i, v); }

/// Channels [from, to) of a group.
inline void absmax8_page_encode_range(const std::byte* const* rows, std::uint32_t n, std::uint32_t channels,
                                      std::uint32_t from, std::uint32_t to, std::byte* scales, std::byte* q) {
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
      const std::uint16_t s = absmax8_scale(absmax[c]);
      store_bf16(scales, c0 + c, s);
      inverse[c] = inverse_of(s);
    }
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* __restrict x = rows[r] + 2 * std::size_t{c0};
      std::byte* __restrict out = q + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; ++c)
        out[c] = static_cast<std::byte>(absmax8_quantize(bf16_to_f32(load_bf16(x, c)), inverse[c]));
    }
  }
}

inline void absmax8_page_decode_range(const std::byte* scales, const std::byte* q, std::uint32_t n,
                                      std::uint32_t channels, std::uint32_t from, std::uint32_t to,
                                      std::byte* const* rows) {
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

inline void absmax8_quantize_range(const std::byte* __restrict x, float inverse, std::uint32_t from, std::uint32_t to,
                                   std::byte* __restrict q) {
  for (std::uint32_t i = from; i < to; ++i)
    q[i] = static_cast<std::byte>(absmax8_quantize(bf16_to_f32(load_bf16(x, i)), inverse));
}

inline void absmax8_dequantize_range(const std::byte* __restrict q, float scale, std::uint32_t from, std::uint32_t to,
                                     std::byte* __restrict x) {
  for (std::uint32_t i = from; i < to; ++i)
    store_bf16(x, i, f32_to_bf16(static_cast<float>(static_cast<std::int8_t>(q[i])) * scale));
}

inline void absmax8_page_encode_generic(RowsIn rows, std::uint32_t channels, std::byte* scales, std::byte* q) {
  absmax8_page_encode_range(rows.at, rows.n, channels, 0, channels, scales, q);
}

inline void absmax8_page_decode_generic(const std::byte* scales, const std::byte* q, std::uint32_t channels,
                                        RowsOut rows) {
  absmax8_page_decode_range(scales, q, rows.n, channels, 0, channels, rows.at);
}

inline void absmax8_row_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                               std::byte* q) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* x = row + 2 * std::size_t{h} * head_dim;
    const std::uint16_t s = absmax8_scale(absmax_of(x, 0, head_dim));
    store_bf16(scales, h, s);
    absmax8_quantize_range(x, inverse_of(s), 0, head_dim, q + std::size_t{h} * head_dim);
  }
}

inline void absmax8_row_decode(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                               std::byte* row) {
  for (std::uint32_t h = 0; h < heads; ++h)
    absmax8_dequantize_range(q + std::size_t{h} * head_dim, bf16_to_f32(load_bf16(scales, h)), 0, head_dim,
                             row + 2 * std::size_t{h} * head_dim);
}

/// Row by row, for kernels with a scale per head and Bits bits per value.
template <auto row_kernel, std::uint32_t kBits>
void encode_rows(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* codes) {
  const std::size_t each = std::size_t{heads} * head_dim * kBits / 8;
  for (std::size_t r = 0; r < rows.n; ++r)
    row_kernel(rows.at[r], heads, head_dim, scales + 2 * r * heads, codes + r * each);
}

template <auto row_kernel, std::uint32_t kBits>
void decode_rows(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                 RowsOut rows) {
  const std::size_t each = std::size_t{heads} * head_dim * kBits / 8;
  for (std::size_t r = 0; r < rows.n; ++r)
    row_kernel(scales + 2 * r * heads, codes + r * each, heads, head_dim, rows.at[r]);
}

// ---- absmax, 4 bits: -7..7, stored + 8, value i low and i + head_dim / 2 high
// -----------------------------------------

inline std::uint8_t absmax4_quantize(float x, float inverse) {
  float v = x * inverse;
  v = v < 7.0F ? v : 7.0F;
  v = v > -7.0F ? v : -7.0F;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(round_even(v)) + 8);
}

inline void absmax4_row_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                               std::byte* codes) {
  const std::uint32_t half = head_dim / 2;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    std::byte* __restrict out = codes + std::size_t{h} * half;
    const std::uint16_t s = scale_under(absmax_of(x, 0, head_dim), 1.0F / 7.0F);
    store_bf16(scales, h, s);
    const float inverse = inverse_of(s);
    for (std::uint32_t i = 0; i < half; ++i)
      out[i] = static_cast<std::byte>(absmax4_quantize(bf16_to_f32(load_bf16(x, i)), inverse) |
                                      absmax4_quantize(bf16_to_f32(load_bf16(x, i + half)), inverse) << 4);
  }
}

inline void absmax4_row_decode(const std::byte* scales, const std::byte* codes, std::uint32_t heads,
                               std::uint32_t head_dim, std::byte* row) {
  const std::uint32_t half = head_dim / 2;
  for (std::uint32_t h = 0; h < heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const std::byte* __restrict in = codes + std::size_t{h} * half;
    std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < half; ++i) {
      const auto two = static_cast<std::int32_t>(in[i]);
      store_bf16(x, i, f32_to_bf16(static_cast<float>((two & 15) - 8) * scale));
      store_bf16(x, i + half, f32_to_bf16(static_cast<float>((two >> 4) - 8) * scale));
    }
  }
}

// ---- fp8 e4m3 ------------------------------------------------------------------------------------------------------

inline std::uint8_t fp8_quantize(float x, float inverse) {
  const float scaled = x * inverse;
  float v = std::fabs(scaled);
  v = v < 448.0F ? v : 448.0F;
  const auto bits = std::bit_cast<std::uint32_t>(v);
  // Below 2^-6 codes count steps of 2^-9; above, the three highest mantissa bits stay.
  const auto small = static_cast<std::uint32_t>(static_cast<std::int32_t>(round_even(v * 512.0F)));
  const std::uint32_t large = ((bits + 0x7ffffU + ((bits >> 20) & 1U)) >> 20) - (120U << 3);
  const std::uint32_t code = v < 0x1p-6F ? small : large;
  return static_cast<std::uint8_t>(code | (std::bit_cast<std::uint32_t>(scaled) >> 24 & 0x80U));
}

inline float fp8_value(std::uint32_t code) {
  const std::uint32_t magnitude = code & 0x7fU;
  const float large = std::bit_cast<float>((magnitude + (120U << 3)) << 20);
  const float v = magnitude < 8 ? static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-9F : large;
  return code & 0x80U ? -v : v;
}

inline void fp8_row_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                           std::byte* codes) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    std::byte* __restrict out = codes + std::size_t{h} * head_dim;
    const std::uint16_t s = scale_under(absmax_of(x, 0, head_dim), 1.0F / 448.0F);
    store_bf16(scales, h, s);
    const float inverse = inverse_of(s);
    for (std::uint32_t i = 0; i < head_dim; ++i)
      out[i] = static_cast<std::byte>(fp8_quantize(bf16_to_f32(load_bf16(x, i)), inverse));
  }
}

inline void fp8_row_decode(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                           std::byte* row) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const std::byte* __restrict in = codes + std::size_t{h} * head_dim;
    std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < head_dim; ++i)
      store_bf16(x, i, f32_to_bf16(fp8_value(static_cast<std::uint32_t>(in[i])) * scale));
  }
}

// ---- minmax: levels from the least value up
// --------------------------------------------------------------------------

/// bf16 bits <-> integers in the order of the values, -0 below 0 and NaN at both ends.
inline std::int16_t bf16_order(std::uint16_t bits) {
  const auto v = static_cast<std::int16_t>(bits);
  return static_cast<std::int16_t>(v ^ (v < 0 ? 0x7fff : 0));
}

struct MinmaxParams {
  float low = 0, inverse = 0;
};

/// least and most in order; what is not finite, or beyond kMinmaxMost, is taken for that.
inline MinmaxParams minmax_params(std::int16_t least, std::int16_t most, std::uint32_t levels, std::byte* scale_at,
                                  std::byte* low_at) {
  const auto bits = [](std::int16_t v) {
    constexpr auto kMost = static_cast<std::int16_t>(kMinmaxMaxLow), kLeast = static_cast<std::int16_t>(~kMinmaxMaxLow);
    return static_cast<std::uint16_t>(bf16_order(static_cast<std::uint16_t>(std::clamp(v, kLeast, kMost))));
  };
  const std::uint16_t low = bits(least);
  const float spread = bf16_to_f32(bits(most)) - bf16_to_f32(low);
  std::uint16_t scale = f32_to_bf16_up(spread / static_cast<float>(levels - 1));
  if (scale < kBf16MinNormal) scale = 0;
  store_bf16(scale_at, 0, scale);
  store_bf16(low_at, 0, low);
  return {bf16_to_f32(low), inverse_of(scale)};
}

/// Comparisons stand so that NaN becomes the top level, as minps and maxps have it.
inline std::uint8_t minmax_quantize(float x, float low, float inverse, float top) {
  float v = (x - low) * inverse;
  v = v < top ? v : top;
  v = v > 0.0F ? v : 0.0F;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(round_even(v)));
}

inline void minmax_page_encode_generic(RowsIn in, std::uint32_t channels, std::uint32_t levels, std::byte* params,
                                       std::uint8_t* symbols) {
  const std::byte* const* rows = in.at;
  const std::uint32_t n = in.n;
  constexpr std::uint32_t kTile = 128;
  std::int16_t least[kTile], most[kTile];
  float low[kTile], inverse[kTile];
  const auto top = static_cast<float>(levels - 1);
  for (std::uint32_t c0 = 0; c0 < channels; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, channels - c0);
    std::fill_n(least, w, std::int16_t{0x7fff});
    std::fill_n(most, w, std::int16_t{-0x8000});
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* __restrict x = rows[r] + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; ++c) {
        const std::int16_t v = bf16_order(load_bf16(x, c));
        least[c] = v < least[c] ? v : least[c];
        most[c] = v > most[c] ? v : most[c];
      }
    }
    for (std::uint32_t c = 0; c < w; ++c) {
      const std::size_t at = 2 * (std::size_t{c0} + c);
      const MinmaxParams p =
          minmax_params(least[c], most[c], levels, params + at, params + 2 * std::size_t{channels} + at);
      low[c] = p.low;
      inverse[c] = p.inverse;
    }
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::byte* __restrict x = rows[r] + 2 * std::size_t{c0};
      std::uint8_t* __restrict out = symbols + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; ++c)
        out[c] = minmax_quantize(bf16_to_f32(load_bf16(x, c)), low[c], inverse[c], top);
    }
  }
}

inline void minmax_page_decode_generic(const std::byte* params, const std::uint8_t* symbols, std::uint32_t channels,
                                       RowsOut to) {
  std::byte* const* rows = to.at;
  const std::uint32_t n = to.n;
  constexpr std::uint32_t kTile = 256;
  float scale[kTile], low[kTile];
  for (std::uint32_t c0 = 0; c0 < channels; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, channels - c0);
    for (std::uint32_t c = 0; c < w; ++c) {
      scale[c] = bf16_to_f32(load_bf16(params, c0 + c));
      low[c] = bf16_to_f32(load_bf16(params, std::size_t{channels} + c0 + c));
    }
    for (std::uint32_t r = 0; r < n; ++r) {
      const std::uint8_t* __restrict in = symbols + std::size_t{r} * channels + c0;
      std::byte* __restrict x = rows[r] + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; ++c)
        store_bf16(x, c, f32_to_bf16(low[c] + static_cast<float>(static_cast<std::int32_t>(in[c])) * scale[c]));
    }
  }
}

inline void minmax_row_encode(const std::byte* row, std::uint32_t groups, std::uint32_t group, std::uint32_t levels,
                              std::byte* params, std::uint8_t* symbols) {
  const auto top = static_cast<float>(levels - 1);
  for (std::uint32_t g = 0; g < groups; ++g) {
    const std::byte* __restrict x = row + 2 * std::size_t{g} * group;
    std::uint8_t* __restrict out = symbols + std::size_t{g} * group;
    std::int16_t least = 0x7fff, most = -0x8000;
    for (std::uint32_t i = 0; i < group; ++i) {
      const std::int16_t v = bf16_order(load_bf16(x, i));
      least = v < least ? v : least;
      most = v > most ? v : most;
    }
    const MinmaxParams p =
        minmax_params(least, most, levels, params + 2 * std::size_t{g}, params + 2 * (std::size_t{groups} + g));
    for (std::uint32_t i = 0; i < group; ++i)
      out[i] = minmax_quantize(bf16_to_f32(load_bf16(x, i)), p.low, p.inverse, top);
  }
}

inline void minmax_row_decode(const std::byte* params, const std::uint8_t* symbols, std::uint32_t groups,
                              std::uint32_t group, std::byte* row) {
  for (std::uint32_t g = 0; g < groups; ++g) {
    const float scale = bf16_to_f32(load_bf16(params, g)),
                low = bf16_to_f32(load_bf16(params, std::size_t{groups} + g));
    const std::uint8_t* __restrict in = symbols + std::size_t{g} * group;
    std::byte* __restrict x = row + 2 * std::size_t{g} * group;
    for (std::uint32_t i = 0; i < group; ++i)
      store_bf16(x, i, f32_to_bf16(low + static_cast<float>(static_cast<std::int32_t>(in[i])) * scale));
  }
}

inline void minmax_encode_generic(RowsIn rows, std::uint32_t groups, std::uint32_t group, std::uint32_t levels,
                                  std::byte* params, std::uint8_t* symbols) {
  for (std::size_t r = 0; r < rows.n; ++r)
    minmax_row_encode(rows.at[r], groups, group, levels, params + 4 * r * groups, symbols + r * groups * group);
}

inline void minmax_decode_generic(const std::byte* params, const std::uint8_t* symbols, std::uint32_t groups,
                                  std::uint32_t group, RowsOut rows) {
  for (std::size_t r = 0; r < rows.n; ++r)
    minmax_row_decode(params + 4 * r * groups, symbols + r * groups * group, groups, group, rows.at[r]);
}

// ---- packing: planes of 4, 2 and 1 bits
// --------------------------------------------------------------------------------

inline void pack_generic(std::uint32_t bits, std::size_t vectors, std::uint32_t dim, const std::uint8_t* symbols,
                         std::byte* codes) {
  if (bits == 8) {
    std::memcpy(codes, symbols, vectors * dim);
    return;
  }
  const std::size_t each = std::size_t{dim} * bits / 8;
  for (std::size_t v = 0; v < vectors; ++v) {
    const std::uint8_t* __restrict s = symbols + v * dim;
    std::byte* __restrict out = codes + v * each;
    std::uint32_t shift = 0;
    if (bits & 4U) {
      const std::uint32_t half = dim / 2;
      for (std::uint32_t i = 0; i < half; ++i) out[i] = static_cast<std::byte>((s[i] & 15U) | (s[i + half] & 15U) << 4);
      out += half;
      shift = 4;
    }
    if (bits & 2U) {
      const std::uint32_t q = dim / 4;
      for (std::uint32_t i = 0; i < q; ++i)
        out[i] = static_cast<std::byte>((s[i] >> shift & 3U) | (s[i + q] >> shift & 3U) << 2 |
                                        (s[i + 2 * q] >> shift & 3U) << 4 | (s[i + 3 * q] >> shift & 3U) << 6);
      out += q;
      shift += 2;
    }
    if (bits & 1U)
      for (std::uint32_t i = 0; i < dim / 8; ++i) {
        unsigned b = 0;
        for (unsigned j = 0; j < 8; ++j) b |= (s[8 * i + j] >> shift & 1U) << j;
        out[i] = static_cast<std::byte>(b);
      }
  }
}

inline void unpack_generic(std::uint32_t bits, std::size_t vectors, std::uint32_t dim, const std::byte* codes,
                           std::uint8_t* symbols) {
  if (bits == 8) {
    std::memcpy(symbols, codes, vectors * dim);
    return;
  }
  const std::size_t each = std::size_t{dim} * bits / 8;
  for (std::size_t v = 0; v < vectors; ++v) {
    const std::byte* __restrict in = codes + v * each;
    std::uint8_t* __restrict s = symbols + v * dim;
    std::uint32_t shift = 0;
    if (bits & 4U) {
      const std::uint32_t half = dim / 2;
      for (std::uint32_t i = 0; i < half; ++i) {
        const auto b = static_cast<std::uint8_t>(in[i]);
        s[i] = b & 15U;
        s[i + half] = b >> 4;
      }
      in += half;
      shift = 4;
    } else {
      std::fill_n(s, dim, std::uint8_t{0});
    }
    if (bits & 2U) {
      const std::uint32_t q = dim / 4;
      for (unsigned k = 0; k < 4; ++k)
        for (std::uint32_t i = 0; i < q; ++i)
          s[i + k * q] =
              static_cast<std::uint8_t>(s[i + k * q] | (static_cast<unsigned>(in[i]) >> 2 * k & 3U) << shift);
      in += q;
      shift += 2;
    }
    if (bits & 1U)
      for (std::uint32_t i = 0; i < dim / 8; ++i)
        for (unsigned j = 0; j < 8; ++j)
          s[8 * i + j] = static_cast<std::uint8_t>(s[8 * i + j] | (static_cast<unsigned>(in[i]) >> j & 1U) << shift);
  }
}
