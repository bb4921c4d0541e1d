// What the kernels in plain C++ share. The generic*.inl files are the reference for every instruction set, and do what
// does not fill vectors. Each instruction set's file includes those it needs once, inside an unnamed namespace, so that
// it compiles its own copy under its own flags.

/// Scale for an absolute maximum given as bf16 bits. Rounded up, so that nothing but saturated input exceeds the top.
inline std::uint16_t scale_under(std::uint16_t absmax, float one_over_top) {
  const float s = bf16_to_f32(std::min(absmax, kBf16Max)) * one_over_top;
  const std::uint16_t bits = std::min(f32_to_bf16_up(s), kAbsmaxMaxScale);
  return bits < kBf16MinNormal ? 0 : bits;
}
inline float inverse_of(std::uint16_t scale) { return scale == 0 ? 0.0F : 1.0F / bf16_to_f32(scale); }

/// To the nearest integer, ties to even, for |v| < 2^22: a sum of this size has no room for a fraction. Unlike lrintf,
/// it vectorises.
inline float round_even(float v) {
  constexpr float kRounder = 0x1.8p23F;
  return (v + kRounder) - kRounder;
}

inline std::uint16_t load_bf16(const std::byte* p, std::size_t i) { return load_le<std::uint16_t>(p + 2 * i); }
inline void store_bf16(std::byte* p, std::size_t i, std::uint16_t v) { store_le(p + 2 * i, v); }

/// Values [from, to) of one head; from > 0 only after a vector kernel did the ones before.
inline std::uint16_t absmax_of(const std::byte* x, std::uint32_t from, std::uint32_t to) {
  std::uint16_t m = 0;
  for (std::uint32_t i = from; i < to; ++i) m = std::max(m, static_cast<std::uint16_t>(load_bf16(x, i) & kBf16Abs));
  return m;
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

// ---- packing: planes of 4, 2 and 1 bits -----------------------------------------------------------------------------

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
