// The book quantizers and the transform of rows in plain C++; after generic.inl.

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

/// Sum of squares: 16 lanes each for the values at even and odd places, added, then folded.
inline float sum_of_squares(const float* x, std::uint32_t count) {
  float lane[2][kLanes] = {};
  for (std::uint32_t i = 0; i < count; ++i) lane[i % 2][i / 2 % kLanes] += x[i] * x[i];
  for (std::uint32_t l = 0; l < kLanes; ++l) lane[0][l] += lane[1][l];
  for (std::uint32_t fold = kLanes / 2; fold > 0; fold /= 2)
    for (std::uint32_t l = 0; l < fold; ++l) lane[0][l] += lane[0][l + fold];
  return lane[0][0];
}

/// As fwht(), of integers that cannot overflow.
inline void fwht16(std::int16_t* z, std::uint32_t count, std::uint32_t block) {
  for (std::uint32_t h = 1; h < block; h *= 2)
    for (std::uint32_t i = 0; i < count; i += 2 * h)
      for (std::uint32_t j = i; j < i + h; ++j) {
        const std::int16_t u = z[j], v = z[j + h];
        z[j] = static_cast<std::int16_t>(u + v);
        z[j + h] = static_cast<std::int16_t>(u - v);
      }
}

/// a * b / 2^15, to nearest, ties up: what pmulhrsw does.
inline std::int32_t multiply_high(std::int32_t a, std::int32_t b) { return (a * b + 0x4000) >> 15; }

inline void book_symbols(const BookShape& s, const std::int16_t* z, std::uint8_t* symbol) {
  const Book& b = *s.book;
  const std::int32_t weight = s.weight;
  if (b.kind == BookKind::uniform) {
    const auto middle = static_cast<std::int32_t>(b.levels / 2);
    for (std::uint32_t i = 0; i < s.head_dim; ++i) {
      std::int32_t q = multiply_high(z[i], weight);
      q = q < middle ? q : middle;
      q = q > -middle ? q : -middle;
      symbol[i] = static_cast<std::uint8_t>(q + middle);
    }
    return;
  }
  const std::uint32_t sign = b.bits - 1, cuts = b.levels / 2 - 1;
  for (std::uint32_t i = 0; i < s.head_dim; ++i) {
    const std::int32_t magnitude = z[i] < 0 ? -z[i] : z[i];
    const std::int32_t m = std::min(multiply_high(magnitude, weight), 255);
    std::uint32_t k = 0;
    for (std::uint32_t c = 0; c < cuts; ++c) k += m >= b.cut[c] ? 1U : 0U;
    symbol[i] = static_cast<std::uint8_t>(k | (z[i] < 0 ? 1U : 0U) << sign);
  }
}

/// Scale with the least squared error for given symbols, in units of z; lloyd in integers, so that order is free.
inline float best_scale(const BookShape& s, const std::int16_t* z, const std::uint8_t* symbol) {
  if (s.book->kind == BookKind::lloyd) {
    std::int32_t zc = 0, cc = 0;
    for (std::uint32_t i = 0; i < s.head_dim; ++i) {
      const std::int32_t c = s.book->mean[symbol[i] & (s.book->levels / 2 - 1)];
      zc += std::abs(std::int32_t{z[i]}) * c;
      cc += c * c;
    }
    return static_cast<float>(zc) / static_cast<float>(cc) * 256.0F;
  }
  float zc[kMaxBookHeadDim], cc[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < s.head_dim; ++i) {
    const float c = s.book->value[symbol[i]];
    zc[i] = static_cast<float>(z[i]) * c;
    cc[i] = c * c;
  }
  const float power = ordered_sum(cc, s.head_dim);
  return power > 0.0F ? ordered_sum(zc, s.head_dim) / power : 0.0F;
}

/// max: book_max_scale().
inline std::uint16_t book_scale_bits(float scale, std::uint16_t max) {
  if (!(scale < bf16_to_f32(max))) return max;
  const std::uint16_t bits = f32_to_bf16(scale);
  return bits < kBf16MinNormal ? 0 : bits;
}

/// Quantizes a vector, signs applied, with sum of squares ss in the comfortable range, times 2^exponent.
inline void book_quantize(const BookShape& s, const float* x, float ss, int exponent, std::byte* scale,
                          std::uint8_t* symbol) {
  // The transform keeps the norm.
  const float rms = std::sqrt(ss / static_cast<float>(s.head_dim));
  float gain = s.gain / rms;
  if (s.scale == Scale::log8) {
    float wanted = rms / s.root;
    if (exponent != 0) wanted = std::ldexp(wanted, exponent);
    const std::uint8_t code = log8::code(wanted);
    *scale = static_cast<std::byte>(code);
    if (code == 0) {  // zero stands for zero
      std::fill_n(symbol, s.head_dim, s.book->zero());
      return;
    }
    // Symbols for the scale as it will be read; beyond its end only their proportions.
    if (code < 255) {
      gain = s.gain / (log8::value(code) * s.root);
      if (exponent != 0) gain = std::ldexp(gain, exponent);
    }
  }
  std::int16_t z[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < s.head_dim; ++i)
    z[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(round_even(x[i] * gain)));
  fwht16(z, s.head_dim, s.block);
  book_symbols(s, z, symbol);
  if (s.scale == Scale::bf16) {
    float best = best_scale(s, z, symbol) * (rms / (s.gain * static_cast<float>(s.block)));
    if (exponent != 0) best = std::ldexp(best, exponent);
    store_bf16(scale, 0, book_scale_bits(best, book_max_scale(s.book->kind, s.block)));
  }
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
  book_quantize(s, y, sum_of_squares(y, s.head_dim), e, scale, symbol);
}

/// One head.
inline void book_encode_vector(const BookShape& s, const std::uint16_t* sign, const std::byte* x, std::byte* scale,
                               std::uint8_t* symbol) {
  float y[kMaxBookHeadDim] = {};
  if (s.block > 1)
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      y[i] = bf16_to_f32(static_cast<std::uint16_t>(load_bf16(x, i) ^ sign[i]));
  else
    for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = bf16_to_f32(load_bf16(x, i));
  const float ss = sum_of_squares(y, s.head_dim);
  if (ss > kMinSum && ss < kMaxSum)
    book_quantize(s, y, ss, 0, scale, symbol);
  else
    book_encode_extreme(s, sign, x, scale, symbol);
}

inline float book_scale(const BookShape& s, const std::byte* scales, std::size_t at) {
  return s.scale == Scale::bf16 ? bf16_to_f32(load_bf16(scales, at))
                                : log8::value(static_cast<std::uint8_t>(scales[at]));
}

inline void book_decode_vector(const BookShape& s, const std::uint16_t* sign, float scale, const std::uint8_t* symbol,
                               std::byte* x) {
  float y[kMaxBookHeadDim];
  for (std::uint32_t i = 0; i < s.head_dim; ++i) y[i] = s.book->value[symbol[i]] * scale;
  if (s.block > 1) {
    fwht(y, s.head_dim, s.block);
    for (std::uint32_t i = 0; i < s.head_dim; ++i)
      store_bf16(x, i, static_cast<std::uint16_t>(f32_to_bf16(y[i]) ^ sign[i]));
  } else {
    for (std::uint32_t i = 0; i < s.head_dim; ++i) store_bf16(x, i, f32_to_bf16(y[i]));
  }
}

inline const std::uint16_t* signs_at(const BookShape& s, const std::uint16_t* signs, std::uint32_t head) {
  return s.block > 1 ? signs + std::size_t{head} * s.head_dim : nullptr;
}

inline void book_encode_generic(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                                std::uint8_t* symbols) {
  const std::size_t unit = scale_bytes(s.scale);
  for (std::uint32_t r = 0; r < rows.n; ++r)
    for (std::uint32_t h = 0; h < s.heads; ++h, scales += unit, symbols += s.head_dim)
      book_encode_vector(s, signs_at(s, signs, h), rows.at[r] + 2 * std::size_t{h} * s.head_dim, scales, symbols);
}

inline void book_decode_generic(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                                const std::uint8_t* symbols, RowsOut rows) {
  const std::size_t unit = scale_bytes(s.scale);
  for (std::uint32_t r = 0; r < rows.n; ++r)
    for (std::uint32_t h = 0; h < s.heads; ++h, scales += unit, symbols += s.head_dim)
      book_decode_vector(s, signs_at(s, signs, h), book_scale(s, scales, 0), symbols,
                         rows.at[r] + 2 * std::size_t{h} * s.head_dim);
}

inline void book_encode_packed_generic(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                                       std::byte* codes) {
  std::uint8_t symbols[kMaxBookHeadDim];
  const std::size_t each = std::size_t{s.head_dim} * s.book->bits / 8, unit = scale_bytes(s.scale);
  for (std::uint32_t r = 0; r < rows.n; ++r)
    for (std::uint32_t h = 0; h < s.heads; ++h, scales += unit, codes += each) {
      book_encode_vector(s, signs_at(s, signs, h), rows.at[r] + 2 * std::size_t{h} * s.head_dim, scales, symbols);
      pack_generic(s.book->bits, 1, s.head_dim, symbols, codes);
    }
}

inline void book_decode_packed_generic(const BookShape& s, const std::uint16_t* signs, const std::byte* scales,
                                       const std::byte* codes, RowsOut rows) {
  std::uint8_t symbols[kMaxBookHeadDim];
  const std::size_t each = std::size_t{s.head_dim} * s.book->bits / 8, unit = scale_bytes(s.scale);
  for (std::uint32_t r = 0; r < rows.n; ++r)
    for (std::uint32_t h = 0; h < s.heads; ++h, scales += unit, codes += each) {
      unpack_generic(s.book->bits, 1, s.head_dim, codes, symbols);
      book_decode_vector(s, signs_at(s, signs, h), book_scale(s, scales, 0), symbols,
                         rows.at[r] + 2 * std::size_t{h} * s.head_dim);
    }
}

// ---- transforms in front of other quantizers ------------------------------------------------------------------------

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
