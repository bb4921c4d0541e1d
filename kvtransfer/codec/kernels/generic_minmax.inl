// minmax, levels from the least value up, in plain C++; after generic.inl.

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
