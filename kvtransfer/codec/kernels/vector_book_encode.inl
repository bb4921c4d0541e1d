// Encoding with a book over vectors; after generic_book.inl and vector.inl.
//
// It works on 16-bit integers: their transform is exact, so its stages may come in any order and values may lie
// anywhere, until the bytes at the end are put in order.

// ---- norms: eight heads side by side --------------------------------------------------------------------------------

inline constexpr std::uint32_t kGroup = 8;

struct Norms {
  alignas(32) float rms[kGroup], gain[kGroup];
  std::uint8_t code[kGroup] = {};  // log8
  std::uint32_t slow = 0;          // bit per head: the generic code's
};

/// Sums of squares of n heads; as sum_of_squares().
template <std::uint32_t kDim>
inline __m256 group_squares(const std::byte* x, std::uint32_t n) {
  F sums[kGroup][kSumRegs];
  for (std::uint32_t h = 0; h < kGroup; ++h)
    for (std::uint32_t k = 0; k < kSumRegs; ++k) sums[h][k] = zero_f();
  for (std::uint32_t h = 0; h < n; ++h) {
    F e[kSumRegs], o[kSumRegs];
    for (std::uint32_t k = 0; k < kSumRegs; ++k) e[k] = o[k] = zero_f();
    unrolled<kDim / kWords>([&](auto i) {
      const I v = load(x + 2 * std::size_t{h} * kDim + i * kBytes);
      const F a = even(v), b = odd(v);
      e[i % kSumRegs] = add(e[i % kSumRegs], mul(a, a));
      o[i % kSumRegs] = add(o[i % kSumRegs], mul(b, b));
    });
    for (std::uint32_t k = 0; k < kSumRegs; ++k) sums[h][k] = add(e[k], o[k]);
  }
  return fold(sums);
}

/// As log8::code(), not limited to a byte.
inline __m256i log8_codes(__m256 s) {
  const __m256i bits = _mm256_castps_si256(s);
  const __m256i e = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127 + log8::kLeastExponent));
  const __m256 m = _mm256_castsi256_ps(
      _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff)), _mm256_set1_epi32(0x3f800000)));
  __m256i c = _mm256_add_epi32(_mm256_slli_epi32(e, 3), _mm256_set1_epi32(1));
  for (const float mid : log8::kMid)
    c = _mm256_sub_epi32(c, _mm256_castps_si256(_mm256_cmp_ps(m, _mm256_set1_ps(mid), _CMP_GE_OQ)));
  return c;
}

/// As log8::value() of codes 1 to 255.
inline __m256 log8_values(__m256i code) {
  const __m256i k = _mm256_sub_epi32(code, _mm256_set1_epi32(1));
  const __m256i e = _mm256_add_epi32(_mm256_srli_epi32(k, 3), _mm256_set1_epi32(127 + log8::kLeastExponent));
  return _mm256_mul_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(log8::kPow.data()), k),
                       _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}

template <std::uint32_t kDim>
inline Norms group_norms(const BookShape& s, const std::byte* x, std::uint32_t n) {
  Norms out;
  const __m256 ss = group_squares<kDim>(x, n);
  const __m256 rms = _mm256_sqrt_ps(_mm256_div_ps(ss, _mm256_set1_ps(kDim)));
  const __m256 fine = _mm256_and_ps(_mm256_cmp_ps(ss, _mm256_set1_ps(kMinSum), _CMP_GT_OQ),
                                    _mm256_cmp_ps(ss, _mm256_set1_ps(kMaxSum), _CMP_LT_OQ));
  out.slow = ~static_cast<std::uint32_t>(_mm256_movemask_ps(fine));
  __m256 unit = rms;
  if (s.scale == Scale::log8) {
    const __m256i c = log8_codes(_mm256_div_ps(rms, _mm256_set1_ps(s.root)));
    const __m256i within =
        _mm256_and_si256(_mm256_cmpgt_epi32(c, _mm256_setzero_si256()), _mm256_cmpgt_epi32(_mm256_set1_epi32(255), c));
    out.slow |= ~static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(within)));
    unit = _mm256_mul_ps(log8_values(c), _mm256_set1_ps(s.root));
    alignas(32) std::int32_t codes[kGroup];
    _mm256_store_si256(reinterpret_cast<__m256i*>(codes), c);
    for (std::uint32_t h = 0; h < kGroup; ++h) out.code[h] = static_cast<std::uint8_t>(codes[h]);
  }
  _mm256_store_ps(out.rms, rms);
  _mm256_store_ps(out.gain, _mm256_div_ps(_mm256_set1_ps(s.gain), unit));
  return out;
}

// ---- the transform of integers --------------------------------------------------------------------------------------

/// The stages between registers, from kHalf registers apart.
template <std::uint32_t kHalf, std::uint32_t R>
[[gnu::always_inline]] inline void words_across(I (&z)[R]) {
  if constexpr (kHalf < R) {
    unrolled<R / 2>([&](auto k) {
      constexpr std::uint32_t j = k.value / kHalf * 2 * kHalf + k.value % kHalf;
      const I u = z[j], v = z[j + kHalf];
      z[j] = add16(u, v), z[j + kHalf] = sub16(u, v);
    });
    words_across<2 * kHalf>(z);
  }
}

/// Places in their order: a register's bits, then (r l1 l0 | w2 w1 w0) of a pair of registers, where pack32(even, odd)
/// made w2 the lowest bit of the value's place, and w1 w0 the next two.
template <std::uint32_t R>
[[gnu::always_inline]] inline void fwht_words(I (&z)[R]) {
  words_across<1>(z);
  unrolled<R / 2>([&](auto pair) {
    constexpr std::uint32_t j = 2 * pair.value;
    I a = z[j], b = z[j + 1];
    lane_stages(a, b);
    // Interleaving turns the highest bit of a word's place into the register's, and that into the lowest.
    unrolled<3>([&](auto) {
      const I u = low16(a, b), v = high16(a, b);
      a = add16(u, v), b = sub16(u, v);
    });
    z[j] = a, z[j + 1] = b;
  });
}

/// Bytes of a pair of registers after fwht_words(), in order. Bits of a place within a lane are 1 3 0 2 of the value's.
inline I order_transformed(I v) {
  alignas(16) static constexpr auto at = [] {
    std::array<std::uint8_t, 16> t{};
    for (unsigned i = 0; i < 16; ++i)
      t[i] = static_cast<std::uint8_t>((i >> 1 & 1) << 3 | (i >> 3 & 1) << 2 | (i & 1) << 1 | (i >> 2 & 1));
    return t;
  }();
  return order_staged(shuffle8(v, lanes(at.data())));
}

template <bool kRotated>
inline I order_symbols(I v) {
  return kRotated ? order_transformed(v) : order_bytes(v);
}

/// One head as integers, transformed.
template <bool kRotated, std::uint32_t R>
[[gnu::always_inline]] inline void integers(const std::byte* x, const std::uint16_t* sign, float gain, I (&z)[R]) {
  const F by = set(gain);
  unrolled<R>([&](auto i) {
    I v = load(x + i * kBytes);
    if constexpr (kRotated) v = xor_i(v, load(sign + i * kWords));
    z[i] = pack32(to_int(mul(even(v), by)), to_int(mul(odd(v), by)));
  });
  if constexpr (kRotated) fwht_words(z);
}

// ---- symbols --------------------------------------------------------------------------------------------------------

struct UniformQuantizer {
  I weight, middle, least;
  explicit UniformQuantizer(const BookShape& s)
      : weight(set16(s.weight)),
        middle(set8(static_cast<int>(s.book->levels / 2))),
        least(set8(-static_cast<int>(s.book->levels / 2))) {}
  I operator()(I a, I b) const {
    const I q = pack16(multiply_high16(a, weight), multiply_high16(b, weight));
    return add8(max8(min8(q, middle), least), middle);
  }
};

template <std::uint32_t kLevels>
struct LloydQuantizer {
  static constexpr std::uint32_t kCuts = kLevels / 2 - 1;
  static constexpr int kSignBit = kLevels == 16 ? 3 : kLevels == 8 ? 2 : 1;
  I weight, cut[kCuts], base, next, mean_low, mean_high;
  explicit LloydQuantizer(const BookShape& s) : weight(set16(s.weight)) {
    for (std::uint32_t c = 0; c < kCuts; ++c) cut[c] = set8(s.book->cut[c]);
    // By the magnitude's upper 4 bits: the cuts below and the one among these magnitudes, of which there is at most
    // one. Where there is none, the last one below, with one less below; or, before the first, one that is never
    // reached.
    alignas(16) std::uint8_t below[16] = {}, among[16] = {};
    for (std::uint32_t b = 0; b < 16; ++b) {
      std::uint32_t c = 0;
      while (c < kCuts && s.book->cut[c] < 16 * (b + 1)) ++c;
      below[b] = static_cast<std::uint8_t>(c == 0 ? 0 : c - 1);
      among[b] = c == 0 ? std::uint8_t{255} : s.book->cut[c - 1];
    }
    base = lanes(below), next = lanes(among);
    alignas(16) std::uint8_t low[16] = {}, high[16] = {};
    for (std::uint32_t k = 0; k < 8; ++k) {
      low[k] = static_cast<std::uint8_t>(s.book->mean[k] & 0xff);
      high[k] = static_cast<std::uint8_t>(s.book->mean[k] >> 8);
    }
    mean_low = lanes(low), mean_high = lanes(high);
  }
  [[nodiscard]] I magnitude(I abs_a, I abs_b) const {
    const I m = pack_u16(multiply_high16(abs_a, weight), multiply_high16(abs_b, weight));
    if constexpr (kLevels == 16) {
      const I bin = and_i(shr16<4>(m), set8(15));
      return count_if_not_below(shuffle8(base, bin), m, shuffle8(next, bin));
    }
    I k = zero();
    for (const I& c : cut) k = count_if_not_below(k, m, c);
    return k;
  }
  [[nodiscard]] I with_sign(I k, I a, I b) const {
    return or_i(k, and_i(shr16<7 - kSignBit>(pack16(a, b)), set8(1 << kSignBit)));
  }
  I operator()(I a, I b) const { return with_sign(magnitude(abs16(a), abs16(b)), a, b); }
  /// The same, and sums for the best scale.
  I operator()(I a, I b, I& zc, I& cc) const {
    const I abs_a = abs16(a), abs_b = abs16(b);
    const I k = magnitude(abs_a, abs_b);
    const I low = shuffle8(mean_low, k), high = shuffle8(mean_high, k);
    const I ca = low8(low, high), cb = high8(low, high);
    zc = add32(zc, add32(multiply_add16(abs_a, ca), multiply_add16(abs_b, cb)));
    cc = add32(cc, add32(multiply_add16(ca, ca), multiply_add16(cb, cb)));
    return with_sign(k, a, b);
  }
};

/// Groups of eight heads: fn(norms, head of the group, x, sign, number of the vector) for those that are not the
/// generic code's, slow(x, sign, number) for the others; then group(norms, heads, number of the first).
template <std::uint32_t kDim, class Fn, class Slow, class Group>
inline void each_vector(const BookShape& s, const std::uint16_t* signs, RowsIn rows, Fn&& fn, Slow&& slow,
                        Group&& group) {
  for (std::uint32_t r = 0; r < rows.n; ++r) {
    const std::byte* next = row_ahead(rows, r);
    for (std::uint32_t first = 0; first < s.heads; first += kGroup) {
      const std::uint32_t n = std::min(kGroup, s.heads - first);
      const std::byte* x = rows.at[r] + 2 * std::size_t{first} * kDim;
      const Norms norms = group_norms<kDim>(s, x, n);
      for (std::uint32_t h = 0; h < n; ++h) {
        const std::size_t from = std::size_t{first + h} * kDim, number = std::size_t{r} * s.heads + first + h;
        const std::uint16_t* sign = signs_at(s, signs, first + h);
        prefetch(next + 2 * from, 2 * kDim);
        if (norms.slow >> h & 1U) [[unlikely]]
          slow(rows.at[r] + 2 * from, sign, number);
        else
          fn(norms, h, rows.at[r] + 2 * from, sign, number);
      }
      group(norms, n, std::size_t{r} * s.heads + first);
    }
  }
}

/// log8 scales, a byte for each symbol.
template <std::uint32_t kDim, bool kRotated, class Chooser>
void encode_symbols(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                    std::uint8_t* symbols) {
  const Chooser choose(s);
  each_vector<kDim>(
      s, signs, rows,
      [&](const Norms& norms, std::uint32_t h, const std::byte* x, const std::uint16_t* sign, std::size_t number) {
        I z[kDim / kWords];
        integers<kRotated>(x, sign, norms.gain[h], z);
        scales[number] = static_cast<std::byte>(norms.code[h]);
        unrolled<kDim / kBytes>([&](auto i) {
          store(symbols + number * kDim + i * kBytes, order_symbols<kRotated>(choose(z[2 * i], z[2 * i + 1])));
        });
      },
      [&](const std::byte* x, const std::uint16_t* sign, std::size_t number) {
        book_encode_vector(s, sign, x, scales + number, symbols + number * kDim);
      },
      [](const Norms&, std::uint32_t, std::size_t) {});
}

/// What sums for the best scale come to, as bf16: of n heads, but for those of the generic code.
inline void store_best_scales(const I (&zc)[kGroup], const I (&cc)[kGroup], const Norms& norms, float unit,
                              std::uint16_t most, std::uint32_t n, std::byte* scales) {
  const __m256 quotient = _mm256_div_ps(_mm256_cvtepi32_ps(fold32(zc)), _mm256_cvtepi32_ps(fold32(cc)));
  const __m256 best = _mm256_mul_ps(_mm256_mul_ps(quotient, _mm256_set1_ps(256.0F)),
                                    _mm256_div_ps(_mm256_load_ps(norms.rms), _mm256_set1_ps(unit)));
  // As book_scale_bits().
  const __m256i b = _mm256_castps_si256(best), one = _mm256_set1_epi32(1);
  const __m256i up = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), _mm256_and_si256(_mm256_srli_epi32(b, 16), one));
  __m256i bits = _mm256_srli_epi32(_mm256_add_epi32(b, up), 16);
  bits = _mm256_and_si256(bits, _mm256_cmpgt_epi32(bits, _mm256_set1_epi32(kBf16MinNormal - 1)));
  const __m256 below = _mm256_cmp_ps(best, _mm256_set1_ps(bf16_to_f32(most)), _CMP_LT_OQ);
  bits = _mm256_blendv_epi8(_mm256_set1_epi32(most), bits, _mm256_castps_si256(below));
  alignas(16) std::uint16_t all[kGroup];
  _mm_store_si128(reinterpret_cast<__m128i*>(all),
                  _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
  if (n == kGroup && norms.slow == 0) [[likely]] {
    std::memcpy(scales, all, sizeof all);
    return;
  }
  for (std::uint32_t h = 0; h < n; ++h)
    if ((norms.slow >> h & 1U) == 0) store_bf16(scales, h, all[h]);
}

/// lloyd with 16 levels and bf16 scales, packed.
template <std::uint32_t kDim, bool kRotated>
void encode_packed4(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales, std::byte* codes) {
  constexpr std::uint32_t kRegs = kDim / kBytes;  // of symbols
  const LloydQuantizer<16> quantizer(s);
  const float unit = s.gain * static_cast<float>(s.block);
  const std::uint16_t most = book_max_scale(BookKind::lloyd, s.block);
  I zc[kGroup], cc[kGroup];
  for (std::uint32_t h = 0; h < kGroup; ++h) zc[h] = cc[h] = set32(1);
  each_vector<kDim>(
      s, signs, rows,
      [&](const Norms& norms, std::uint32_t h, const std::byte* x, const std::uint16_t* sign, std::size_t number) {
        I z[kDim / kWords], symbol[kRegs], zc_of = zero(), cc_of = zero();
        integers<kRotated>(x, sign, norms.gain[h], z);
        unrolled<kRegs>([&](auto i) { symbol[i] = quantizer(z[2 * i], z[2 * i + 1], zc_of, cc_of); });
        zc[h] = zc_of, cc[h] = cc_of;
        std::byte* out = codes + number * (kDim / 2);
        if constexpr (kRegs == 1) {
          const I v = order_symbols<kRotated>(symbol[0]);
          store_half(out, combine4(lower_half(v), upper_half(v)));
        } else {
          unrolled<kRegs / 2>([&](auto i) {
            store(out + i * kBytes, order_symbols<kRotated>(or_i(symbol[i], shl16<4>(symbol[i + kRegs / 2]))));
          });
        }
      },
      [&](const std::byte* x, const std::uint16_t* sign, std::size_t number) {
        std::uint8_t symbols[kDim];
        book_encode_vector(s, sign, x, scales + 2 * number, symbols);
        pack_generic(4, 1, kDim, symbols, codes + number * (kDim / 2));
      },
      [&](const Norms& norms, std::uint32_t n, std::size_t number) {
        store_best_scales(zc, cc, norms, unit, most, n, scales + 2 * number);
      });
}
