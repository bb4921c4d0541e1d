#pragma once
// Quantizers of one vector by a quad: the same arithmetic in the same order as kernels/generic*.inl, so the same bits.
// Every lane of a quad calls these together with the other lanes of its warp.
#include "kvtransfer/codec/cuda/quad.cuh"

namespace sluice::kv::cuda {

// ---- under the largest magnitude: absmax8, absmax4, fp8
// -----------------------------------------------------------------

template <int D, class X>
SLUICE_DEVICE std::uint32_t absmax_of(X& x, const std::uint32_t* pairs) {
  std::uint32_t m = 0;
  SLUICE_UNROLL
  for (int i = 0; i < Quad<D>::kPairs; ++i) m = max_halves(m, pairs[i] & 0x7fff7fffU);
  m = max_halves(m, x.shfl_xor(m, 1));
  m = max_halves(m, x.shfl_xor(m, 2));
  const std::uint32_t low = m & 0xffffU, high = m >> 16;
  return low > high ? low : high;
}

/// Scale for an absolute maximum in bf16 bits, rounded up.
SLUICE_DEVICE std::uint32_t scale_under(std::uint32_t absmax, float one_over_top) {
  const std::uint32_t up = to_bf16_up(from_bf16(least(absmax, kMostFinite)) * one_over_top);
  const std::uint32_t bits = least(up, kMaxAbsmaxScale);
  return bits < kMinNormal ? 0 : bits;
}
SLUICE_DEVICE float inverse_of(std::uint32_t scale) { return scale == 0 ? 0.0F : quotient(1.0F, from_bf16(scale)); }

/// -top..top; NaN becomes top, as in every backend.
SLUICE_DEVICE std::int32_t quantize_under(float value, float inverse, float top) {
  float v = value * inverse;
  v = v < top ? v : top;
  v = v > -top ? v : -top;
  return static_cast<std::int32_t>(round_to_even(v));
}

SLUICE_DEVICE std::uint32_t quantize_fp8(float value, float inverse) {
  const float scaled = value * inverse;
  float v = as_float(as_bits(scaled) & 0x7fffffffU);
  v = v < 448.0F ? v : 448.0F;
  const std::uint32_t bits = as_bits(v);
  const auto small = static_cast<std::uint32_t>(static_cast<std::int32_t>(round_to_even(v * 512.0F)));
  const std::uint32_t large = ((bits + 0x7ffffU + (bits >> 20 & 1U)) >> 20) - (120U << 3);
  return ((v < 0.015625F ? small : large) | (as_bits(scaled) >> 24 & 0x80U)) & 0xffU;
}
SLUICE_DEVICE float fp8_meaning(std::uint32_t code) {
  const std::uint32_t magnitude = code & 0x7fU;
  const float large = as_float((magnitude + (120U << 3)) << 20);
  const float v = magnitude < 8 ? static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0.001953125F : large;
  return code & 0x80U ? -v : v;
}

SLUICE_DEVICE float low_half(std::uint32_t pair) { return as_float(pair << 16); }
SLUICE_DEVICE float high_half(std::uint32_t pair) { return as_float(pair & 0xffff0000U); }

template <int D, class X>
SLUICE_DEVICE void encode_absmax(X& x, PartKind kind, const std::uint32_t* pairs, std::uint8_t* scale,
                                 std::uint8_t* codes) {
  constexpr int K = Quad<D>::kWords;
  const int p = x.lane() & 3;
  const float top = kind == PartKind::absmax8 ? 127.0F : kind == PartKind::absmax4 ? 7.0F : 448.0F;
  const float one_over_top = kind == PartKind::absmax8   ? 1.0F / 127.0F
                             : kind == PartKind::absmax4 ? 1.0F / 7.0F
                                                         : 1.0F / 448.0F;
  const std::uint32_t s = scale_under(absmax_of<D>(x, pairs), one_over_top);
  if (p == 0) store_as(scale, static_cast<std::uint16_t>(s));
  const float inverse = inverse_of(s);
  std::uint32_t w[2 * K];
  SLUICE_UNROLL
  for (int i = 0; i < 2 * K; ++i) {
    w[i] = 0;
    SLUICE_UNROLL
    for (int j = 0; j < 4; ++j) {
      const std::uint32_t pair = pairs[2 * i + j / 2];
      const float v = j % 2 ? high_half(pair) : low_half(pair);
      const std::uint32_t code =
          kind == PartKind::fp8
              ? quantize_fp8(v, inverse)
              : static_cast<std::uint32_t>(quantize_under(v, inverse, top) + (kind == PartKind::absmax4 ? 8 : 0)) &
                    0xffU;
      w[i] |= code << 8 * j;
    }
  }
  if (kind == PartKind::absmax4) {
    SLUICE_UNROLL
    for (int i = 0; i < K; ++i) w[i] |= w[K + i] << 4;
    store_words<K>(codes + 4 * K * p, w);
    return;
  }
  store_words<K>(codes + 4 * K * p, w);
  store_words<K>(codes + D / 2 + 4 * K * p, w + K);
}

template <int D, class X>
SLUICE_DEVICE void decode_absmax(X& x, PartKind kind, float scale, const std::uint8_t* codes, std::uint32_t* pairs) {
  constexpr int K = Quad<D>::kWords;
  const int p = x.lane() & 3;
  std::uint32_t w[2 * K];
  load_words<K>(codes + 4 * K * p, w);
  if (kind == PartKind::absmax4) {
    SLUICE_UNROLL
    for (int i = 0; i < K; ++i) {
      w[K + i] = w[i] >> 4 & 0x0f0f0f0fU;
      w[i] &= 0x0f0f0f0fU;
    }
  } else {
    load_words<K>(codes + D / 2 + 4 * K * p, w + K);
  }
  SLUICE_UNROLL
  for (int i = 0; i < 4 * K; ++i) {
    std::uint32_t half[2];
    SLUICE_UNROLL
    for (int j = 0; j < 2; ++j) {
      const std::uint32_t code = w[i / 2] >> 8 * (2 * (i % 2) + j) & 0xffU;
      float v;
      if (kind == PartKind::fp8)
        v = fp8_meaning(code);
      else if (kind == PartKind::absmax4)
        v = static_cast<float>(static_cast<std::int32_t>(code) - 8);
      else
        v = static_cast<float>(static_cast<std::int32_t>(static_cast<std::int8_t>(code)));
      half[j] = to_bf16(v * scale);
    }
    pairs[i] = half[0] | half[1] << 16;
  }
}

// ---- under the norm: lloyd and uniform
// ----------------------------------------------------------------------------------

constexpr float kLeastSum = 1e-30F, kMostSum = 1e37F;  // outside, a vector is first scaled by a power of two

/// 2^e for -127 <= e <= 127; with e = -127 a denormal, which it represents exactly.
SLUICE_DEVICE float power_of_two(int e) {
  return as_float(e > -127 ? static_cast<std::uint32_t>(e + 127) << 23 : 0x00400000U);
}

SLUICE_DEVICE float log8_pow(std::uint32_t k) {
  constexpr float kPow[8] = {1.0F,        1.09050773F, 1.18920712F, 1.29683955F,
                             1.41421356F, 1.54221083F, 1.68179283F, 1.83400809F};
  return kPow[k];
}
SLUICE_DEVICE float log8_meaning(std::uint32_t code) {
  if (code == 0) return 0.0F;
  const std::uint32_t k = code - 1;
  return log8_pow(k % 8) * power_of_two(static_cast<int>(k / 8) - 24);
}
SLUICE_DEVICE std::uint32_t log8_code(float s) {
  constexpr float kMid[8] = {1.04427378F, 1.13878863F, 1.24185781F, 1.35425555F,
                             1.47682615F, 1.61049033F, 1.75625216F, 1.91520656F};
  const std::uint32_t bits = as_bits(s);
  const int e = static_cast<int>(bits >> 23) - 127;
  if (e < -25) return 0;
  const float m = as_float((bits & 0x7fffffU) | 0x3f800000U);
  int c = (e + 24) * 8 + 1;
  SLUICE_UNROLL
  for (int i = 0; i < 8; ++i) c += m >= kMid[i] ? 1 : 0;
  return static_cast<std::uint32_t>(c < 0 ? 0 : c > 255 ? 255 : c);
}

/// Cuts that a magnitude reaches, of seven in ascending order.
SLUICE_DEVICE std::uint32_t reached(const std::int32_t* cut, std::int32_t m) {
  const bool b4 = m >= cut[3];
  const bool b2 = m >= (b4 ? cut[5] : cut[1]);
  const bool b1 = m >= (b4 ? (b2 ? cut[6] : cut[4]) : (b2 ? cut[2] : cut[0]));
  return (b4 ? 4U : 0U) | (b2 ? 2U : 0U) | (b1 ? 1U : 0U);
}
SLUICE_DEVICE std::int32_t magnitude_of(std::int32_t z) { return z < 0 ? -z : z; }
/// a * b / 2^15, to nearest, ties up.
SLUICE_DEVICE std::int32_t multiply_high(std::int32_t a, std::int32_t b) { return (a * b + 0x4000) >> 15; }

/// Sum of squares in the order of every backend: 16 lanes each for the values at even and odd places, added, folded.
template <int D, class X>
SLUICE_DEVICE float sum_of_squares(X& x, const float* y) {
  float lane[8];
  SLUICE_UNROLL
  for (int c = 0; c < 8; ++c) {
    lane[c] = 0;
    SLUICE_UNROLL
    for (int n = c; n < Quad<D>::kValues; n += 8) lane[c] += y[n] * y[n];
    lane[c] += x.shfl_xor(lane[c], 1);
  }
  SLUICE_UNROLL
  for (int fold = 4; fold > 0; fold /= 2) {
    SLUICE_UNROLL
    for (int c = 0; c < fold; ++c) lane[c] += lane[c + fold];
  }
  return lane[0] + x.shfl_xor(lane[0], 2);
}

/// As transform(), of integers of which 16 bits count.
template <int D, class X>
SLUICE_DEVICE void transform_integers(X& x, std::int32_t* z) {
  constexpr int N = Quad<D>::kValues;
  SLUICE_UNROLL
  for (int h = 1; h <= 2; h *= 2) {
    const std::int32_t sign = x.lane() & h ? -1 : 1;
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) z[n] = x.shfl_xor(z[n], h) + z[n] * sign;
  }
  SLUICE_UNROLL
  for (int h = 1; h < N; h *= 2) {
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) {
      if (n & h) continue;
      const std::int32_t u = z[n], v = z[n + h];
      z[n] = u + v;
      z[n + h] = u - v;
    }
  }
}

template <int D>
SLUICE_DEVICE void book_symbols(const Book& b, const std::int32_t* z, std::uint32_t* s) {
  constexpr int K = Quad<D>::kWords;
  std::int32_t cut[7];
  SLUICE_UNROLL
  for (int i = 0; i < 7; ++i) cut[i] = b.cut[i];
  const auto middle = static_cast<std::int32_t>(b.levels / 2);
  SLUICE_UNROLL
  for (int q = 0; q < 2 * K; ++q) {
    s[q] = 0;
    SLUICE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::int32_t v = z[symbol_index<D>(q, i)];
      std::uint32_t symbol;
      if (b.uniform) {
        std::int32_t t = multiply_high(v, b.weight);
        t = t < middle ? t : middle;
        t = t > -middle ? t : -middle;
        symbol = static_cast<std::uint32_t>(t + middle);
      } else {
        const std::int32_t m = multiply_high(magnitude_of(v), b.weight);
        symbol = reached(cut, m < 255 ? m : 255) | (v < 0 ? 1U : 0U) << (b.bits - 1);
      }
      s[q] |= (symbol & 0xffU) << 8 * i;
    }
  }
}

SLUICE_DEVICE std::uint32_t symbol_at(const std::uint32_t* s, int word, int byte) {
  return s[word] >> 8 * byte & 0xffU;
}

/// Scale with the least squared error for given symbols, in units of z; lloyd in integers, in any order.
template <int D, class X>
SLUICE_DEVICE float best_scale(X& x, const Book& b, const std::int32_t* z, const std::uint32_t* s) {
  constexpr int K = Quad<D>::kWords, N = Quad<D>::kValues;
  if (!b.uniform) {
    std::int32_t zc = 0, cc = 0;
    SLUICE_UNROLL
    for (int q = 0; q < 2 * K; ++q) {
      SLUICE_UNROLL
      for (int i = 0; i < 4; ++i) {
        const std::int32_t c = b.mean[symbol_at(s, q, i) & (b.levels / 2 - 1)];
        zc += magnitude_of(z[symbol_index<D>(q, i)]) * c;
        cc += c * c;
      }
    }
    for (int h = 1; h <= 2; h *= 2) {
      zc += x.shfl_xor(zc, h);
      cc += x.shfl_xor(cc, h);
    }
    return quotient(static_cast<float>(zc), static_cast<float>(cc)) * 256.0F;
  }
  float mean[N];
  SLUICE_UNROLL
  for (int q = 0; q < 2 * K; ++q) {
    SLUICE_UNROLL
    for (int i = 0; i < 4; ++i) mean[symbol_index<D>(q, i)] = b.value[symbol_at(s, q, i)];
  }
  const float power = ordered_sum<D>(x, [&](int n) { return mean[n] * mean[n]; });
  const float along = ordered_sum<D>(x, [&](int n) { return static_cast<float>(z[n]) * mean[n]; });
  return power > 0.0F ? quotient(along, power) : 0.0F;
}

SLUICE_DEVICE std::uint32_t book_scale_bits(const Book& b, float scale) {
  if (!(scale < from_bf16(b.max_scale))) return b.max_scale;
  const std::uint32_t bits = to_bf16(scale);
  return bits < kMinNormal ? 0 : bits;
}

/// Infinities become the largest finite value, NaN 0.
SLUICE_DEVICE std::uint32_t tamed(std::uint32_t bits) {
  const std::uint32_t abs = bits & 0x7fffU;
  return abs > kInfinite ? 0 : abs == kInfinite ? (bits & 0x8000U) | kMostFinite : bits;
}

/// Quantizes a vector given as runs; symbols in the lane's order, and the scale's bits (a code with log8).
template <int D, class X>
SLUICE_DEVICE std::uint32_t encode_book(X& x, const Book& b, const std::uint32_t* signs, const std::uint32_t* pairs,
                                        std::uint32_t* s) {
  constexpr int K = Quad<D>::kWords, N = Quad<D>::kValues;
  const auto spread = [&](const std::uint32_t* from, float* y) {
    to_strided<D>(x, from, y);
    if (!b.transform) return;
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) y[n] = as_float(as_bits(y[n]) ^ sign_of(signs, n));
  };
  float y[N];
  spread(pairs, y);
  float ss = sum_of_squares<D>(x, y);
  int exponent = 0;
  bool zero = false;
  const bool extreme = !(ss > kLeastSum && ss < kMostSum);
  if (x.ballot(extreme) != 0) {
    // Rare, and then for the whole warp, since all of it must shuffle; only the vectors concerned take the result.
    std::uint32_t tame[Quad<D>::kPairs];
    SLUICE_UNROLL
    for (int i = 0; i < Quad<D>::kPairs; ++i) tame[i] = tamed(pairs[i] & 0xffffU) | tamed(pairs[i] >> 16) << 16;
    const float max = from_bf16(absmax_of<D>(x, tame));
    const int e = static_cast<int>(as_bits(max) >> 23) - 127;
    const bool nothing = max < 7.703719777548943e-34F;  // 2^-110
    float scaled[N];
    spread(tame, scaled);
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) scaled[n] = nothing ? 0.0F : scaled[n] * power_of_two(-e);
    const float scaled_ss = sum_of_squares<D>(x, scaled);
    if (extreme) {
      zero = nothing;
      exponent = nothing ? 0 : e;
      ss = scaled_ss;
      SLUICE_UNROLL
      for (int n = 0; n < N; ++n) y[n] = scaled[n];
    }
  }
  // The transform keeps the norm.
  const float rms = root(quotient(ss, static_cast<float>(D)));
  float gain = quotient(b.gain, rms);
  std::uint32_t scale = 0;
  if (b.log8) {
    float wanted = quotient(rms, b.root);
    if (exponent != 0) wanted *= power_of_two(exponent);
    scale = zero ? 0 : log8_code(wanted);
    // Symbols for the scale as it will be read; beyond its end only their proportions.
    if (scale != 0 && scale < 255) {
      gain = quotient(b.gain, log8_meaning(scale) * b.root);
      if (exponent != 0) gain *= power_of_two(exponent);
    }
    zero = scale == 0;
  }
  std::int32_t z[N];
  SLUICE_UNROLL
  for (int n = 0; n < N; ++n) z[n] = zero ? 0 : static_cast<std::int32_t>(round_to_even(y[n] * gain));
  if (b.transform) transform_integers<D>(x, z);
  SLUICE_UNROLL
  for (int n = 0; n < N; ++n) z[n] = static_cast<std::int16_t>(z[n]);
  book_symbols<D>(b, z, s);
  if (!b.log8) {
    float best = best_scale<D>(x, b, z, s) * quotient(rms, b.gain * b.block);
    if (exponent != 0) best *= power_of_two(exponent);
    scale = zero ? 0 : book_scale_bits(b, best);
  }
  if (zero) {
    SLUICE_UNROLL
    for (int i = 0; i < 2 * K; ++i) s[i] = b.zero * 0x01010101U;
  }
  return scale;
}

template <int D, class X>
SLUICE_DEVICE void decode_book(X& x, const Book& b, const std::uint32_t* signs, float scale, const std::uint32_t* s,
                               std::uint32_t* pairs) {
  constexpr int K = Quad<D>::kWords, N = Quad<D>::kValues;
  float y[N];
  SLUICE_UNROLL
  for (int q = 0; q < 2 * K; ++q) {
    SLUICE_UNROLL
    for (int i = 0; i < 4; ++i) y[symbol_index<D>(q, i)] = b.value[symbol_at(s, q, i)] * scale;
  }
  if (b.transform) transform<D>(x, y);
  std::uint32_t bits[N];
  SLUICE_UNROLL
  for (int n = 0; n < N; ++n) bits[n] = to_bf16(y[n]) ^ (b.transform ? sign_of(signs, n) >> 16 : 0U);
  to_runs<D>(x, bits, pairs);
}

}  // namespace sluice::kv::cuda
