// absmax in plain C++, after generic.inl.

inline std::uint16_t absmax8_scale(std::uint16_t absmax) { return scale_under(absmax, 1.0F / 127.0F); }

/// Comparisons stand so that NaN becomes 127, as minps and maxps have it.
inline std::int8_t absmax8_quantize(float x, float inverse) {
  float v = x * inverse;
  v = v < 127.0F ? v : 127.0F;
  v = v > -127.0F ? v : -127.0F;
  return static_cast<std::int8_t>(static_cast<std::int32_t>(round_even(v)));
}

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

// ---- 4 bits: -7..7, stored + 8, value i low and i + head_dim / 2 high -----------------------------------------------

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
