#pragma once
// Four lanes hold one vector of D = 64 or 128 values: eight vectors a warp, so that most of a transform and of its sums
// happens in registers. Lane p of a quad holds the values in one of two orders:
//   runs:    values W p to W p + W - 1 of each half of the vector (W = D / 8): what memory wants, 16 bytes at a time;
//   strided: values 4 n + p, n = 0 .. D/4 - 1: what the transform and the packing want. h = 1 and 2 of the transform
//            are shuffles, all else is in registers, and so are the 16 lanes of an ordered sum but for two folds.
// Transpositions of 4 x 4 bytes or halves within a quad lead from one to the other.
#include "kvtransfer/codec/cuda/layout.h"
#include "kvtransfer/codec/cuda/simt.h"

namespace sluice::kv::cuda {

template <int D>
struct Quad {
  static_assert(D == 64 || D == 128, "other head sizes stay with the host");
  static constexpr int kWords = D / 32;  // K: words of packed nibbles of a lane
  static constexpr int kValues = D / 4;  // of a lane, = 8 K
  static constexpr int kRun = D / 8;     // W = 4 K
  static constexpr int kPairs = D / 8;   // bf16 pairs of a lane
};

/// Byte b of lane p's word goes to byte p of lane b's.
template <class X>
SLUICE_DEVICE std::uint32_t transpose_bytes(X& x, std::uint32_t w) {
  const bool high = x.lane() & 2, odd = x.lane() & 1;
  w = pick_bytes(w, x.shfl_xor(w, 2), high ? 0x3276 : 0x5410);
  return pick_bytes(w, x.shfl_xor(w, 1), odd ? 0x3715 : 0x6240);
}

/// The same for four halves: a holds 0 and 1, b holds 2 and 3.
template <class X>
SLUICE_DEVICE void transpose_halves(X& x, std::uint32_t& a, std::uint32_t& b) {
  const bool high = x.lane() & 2, odd = x.lane() & 1;
  const std::uint32_t r = x.shfl_xor(high ? a : b, 2);
  const std::uint32_t u = high ? r : a, v = high ? b : r;
  const std::uint32_t s = x.shfl_xor(odd ? pick_bytes(u, v, 0x5410) : pick_bytes(u, v, 0x7632), 1);
  // Even lanes keep low halves and put the received ones behind, odd ones keep high halves and put them in front.
  a = odd ? pick_bytes(u, s, 0x3254) : pick_bytes(u, s, 0x5410);
  b = odd ? pick_bytes(v, s, 0x3276) : pick_bytes(v, s, 0x7610);
}

// ---- rows of bf16
// ----------------------------------------------------------------------------------------------------

/// pairs: runs, the first half's, then the second's.
template <int D>
SLUICE_DEVICE void load_runs(const std::uint8_t* vector, int p, std::uint32_t* pairs) {
  constexpr int W = Quad<D>::kRun;
  load_words<W / 2>(vector + 2 * W * p, pairs);
  load_words<W / 2>(vector + D + 2 * W * p, pairs + W / 2);
}
template <int D>
SLUICE_DEVICE void store_runs(std::uint8_t* vector, int p, const std::uint32_t* pairs) {
  constexpr int W = Quad<D>::kRun;
  store_words<W / 2>(vector + 2 * W * p, pairs);
  store_words<W / 2>(vector + D + 2 * W * p, pairs + W / 2);
}

/// Runs of pairs to strided f32 and back. bf16 to f32 is a shift: nothing is lost on the way.
template <int D, class X>
SLUICE_DEVICE void to_strided(X& x, const std::uint32_t* pairs, float* y) {
  constexpr int K = Quad<D>::kWords;
  SLUICE_UNROLL
  for (int h = 0; h < 2; ++h) {
    SLUICE_UNROLL
    for (int e = 0; e < K; ++e) {
      std::uint32_t a = pairs[2 * (h * K + e)], b = pairs[2 * (h * K + e) + 1];
      transpose_halves(x, a, b);
      float* to = y + 4 * K * h + e;
      to[0] = as_float(a << 16), to[K] = as_float(a & 0xffff0000U);
      to[2 * K] = as_float(b << 16), to[3 * K] = as_float(b & 0xffff0000U);
    }
  }
}
/// y: bf16 bits of each value, strided.
template <int D, class X>
SLUICE_DEVICE void to_runs(X& x, const std::uint32_t* y, std::uint32_t* pairs) {
  constexpr int K = Quad<D>::kWords;
  SLUICE_UNROLL
  for (int h = 0; h < 2; ++h) {
    SLUICE_UNROLL
    for (int e = 0; e < K; ++e) {
      const std::uint32_t* from = y + 4 * K * h + e;
      std::uint32_t a = from[0] | from[K] << 16, b = from[2 * K] | from[3 * K] << 16;
      transpose_halves(x, a, b);
      pairs[2 * (h * K + e)] = a, pairs[2 * (h * K + e) + 1] = b;
    }
  }
}

// ---- strided arithmetic
// ------------------------------------------------------------------------------------------------

/// In the order of every backend: 16 lanes for each half of the vector, halves added, then lanes folded.
template <int D, class X, class F>
SLUICE_DEVICE float ordered_sum(X& x, F&& value) {
  constexpr int K = Quad<D>::kWords;
  float lane[4];
  SLUICE_UNROLL
  for (int c = 0; c < 4; ++c) {
    float lower = 0, upper = 0;
    SLUICE_UNROLL
    for (int m = 0; m < K; ++m) {
      lower += value(4 * m + c);
      upper += value(4 * K + 4 * m + c);
    }
    lane[c] = lower + upper;
  }
  float s = (lane[0] + lane[2]) + (lane[1] + lane[3]);
  s += x.shfl_xor(s, 2);
  s += x.shfl_xor(s, 1);
  return s;
}

/// Unscaled Walsh-Hadamard transform of the whole vector, h = 1, 2, 4, ... in this order.
template <int D, class X>
SLUICE_DEVICE void transform(X& x, float* y) {
  constexpr int N = Quad<D>::kValues;
  SLUICE_UNROLL
  for (int h = 1; h <= 2; h *= 2) {
    const float sign = x.lane() & h ? -1.0F : 1.0F;
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) y[n] = add_signed(x.shfl_xor(y[n], h), y[n], sign);
  }
  SLUICE_UNROLL
  for (int h = 1; h < N; h *= 2) {
    SLUICE_UNROLL
    for (int n = 0; n < N; ++n) {
      if (n & h) continue;
      const float u = y[n], v = y[n + h];
      y[n] = u + v;
      y[n + h] = u - v;
    }
  }
}

/// The sign bit (in bit 31) that value 4 n + p gets; signs: the lane's words, shifted down by p.
SLUICE_DEVICE std::uint32_t sign_of(const std::uint32_t* signs, int n) {
  return signs[n / 8] << (31 - 4 * (n % 8)) & 0x80000000U;
}
template <int D>
SLUICE_DEVICE void load_signs(const std::uint32_t* head, int p, std::uint32_t* signs) {
  load_words<Quad<D>::kWords>(head, signs);
  SLUICE_UNROLL
  for (int i = 0; i < Quad<D>::kWords; ++i) signs[i] >>= p;
}

// ---- symbols
// -----------------------------------------------------------------------------------------------------------
//
// A lane's symbols are bytes: byte b of word (h K + a) is that of value n = 4 K h + a + K b.

template <int D>
SLUICE_DEVICE constexpr int symbol_index(int word, int byte) {
  return 4 * Quad<D>::kWords * (word / Quad<D>::kWords) + word % Quad<D>::kWords + Quad<D>::kWords * byte;
}

/// All symbols as bytes, in runs: words h K + i are bytes W p + 4 i of half h.
template <int D, class X>
SLUICE_DEVICE void symbols_to_runs(X& x, const std::uint32_t* s, std::uint32_t* runs) {
  SLUICE_UNROLL
  for (int i = 0; i < 2 * Quad<D>::kWords; ++i) runs[i] = transpose_bytes(x, s[i]);
}

/// Packs a vector's symbols to D * bits / 8 bytes: planes of 4, 2 and 1 bits, or bytes.
template <int D, class X>
SLUICE_DEVICE void pack_symbols(X& x, std::uint32_t bits, const std::uint32_t* s, std::uint8_t* out) {
  constexpr int K = Quad<D>::kWords;
  const int p = x.lane() & 3;
  std::uint32_t w[2 * K];
  if (bits == 8) {
    symbols_to_runs<D>(x, s, w);
    store_words<K>(out + 4 * K * p, w);
    store_words<K>(out + D / 2 + 4 * K * p, w + K);
    return;
  }
  std::uint32_t shift = 0;
  if (bits & 4) {
    SLUICE_UNROLL
    for (int a = 0; a < K; ++a) w[a] = transpose_bytes(x, (s[a] & 0x0f0f0f0fU) | (s[K + a] & 0x0f0f0f0fU) << 4);
    store_words<K>(out + 4 * K * p, w);
    out += D / 2;
    shift = 4;
  }
  if (bits & 2) {
    // Byte i holds values i + q D/4: bytes b = 0 and 1 of a word are of q = 0 or 2, bytes 2 and 3 of q = 1 or 3.
    std::uint32_t v[K];
    SLUICE_UNROLL
    for (int a = 0; a < K; ++a) {
      const std::uint32_t lower = s[a] >> shift & 0x03030303U, upper = s[K + a] >> shift & 0x03030303U;
      const std::uint32_t both = lower | upper << 4;
      v[a] = (both | both >> 14) & 0xffffU;
    }
    SLUICE_UNROLL
    for (int j = 0; j < K / 2; ++j) w[j] = transpose_bytes(x, v[j] | v[j + K / 2] << 16);
    store_words<K / 2>(out + 4 * (K * (p & 1) + K / 2 * (p >> 1)), w);
    out += D / 4;
    shift += 2;
  }
  if (bits & 1) {
    SLUICE_UNROLL
    for (int i = 0; i < K; ++i) w[i] = 0;
    SLUICE_UNROLL
    for (int q = 0; q < 2 * K; ++q) {
      SLUICE_UNROLL
      for (int b = 0; b < 4; ++b) {
        const int n = symbol_index<D>(q, b);
        w[n / 8] |= (s[q] >> (8 * b + shift) & 1U) << 4 * (n % 8);
      }
    }
    std::uint32_t mine = 0;
    SLUICE_UNROLL
    for (int i = 0; i < K; ++i) {
      w[i] <<= p;
      w[i] |= x.shfl_xor(w[i], 1);
      w[i] |= x.shfl_xor(w[i], 2);
      if (i == p) mine = w[i];
    }
    if (p < K) store_as(out + 4 * p, mine);
  }
}

/// Half a vector's symbols in runs to the lane's words.
template <int D, class X>
SLUICE_DEVICE void runs_to_symbols(X& x, const std::uint32_t* runs, std::uint32_t* s) {
  symbols_to_runs<D>(x, runs, s);  // a transposition is its own inverse
}

template <int D, class X>
SLUICE_DEVICE void unpack_symbols(X& x, std::uint32_t bits, const std::uint8_t* in, std::uint32_t* s) {
  constexpr int K = Quad<D>::kWords;
  const int p = x.lane() & 3;
  std::uint32_t w[2 * K];
  if (bits == 8) {
    load_words<K>(in + 4 * K * p, w);
    load_words<K>(in + D / 2 + 4 * K * p, w + K);
    return runs_to_symbols<D>(x, w, s);
  }
  SLUICE_UNROLL
  for (int i = 0; i < 2 * K; ++i) s[i] = 0;
  std::uint32_t shift = 0;
  if (bits & 4) {
    load_words<K>(in + 4 * K * p, w);
    SLUICE_UNROLL
    for (int a = 0; a < K; ++a) {
      const std::uint32_t b = transpose_bytes(x, w[a]);
      s[a] = b & 0x0f0f0f0fU;
      s[K + a] = b >> 4 & 0x0f0f0f0fU;
    }
    in += D / 2;
    shift = 4;
  }
  if (bits & 2) {
    load_words<K / 2>(in + 4 * (K * (p & 1) + K / 2 * (p >> 1)), w);
    SLUICE_UNROLL
    for (int j = 0; j < K / 2; ++j) {
      const std::uint32_t t = transpose_bytes(x, w[j]);
      SLUICE_UNROLL
      for (int k = 0; k < 2; ++k) {
        const int a = j + k * (K / 2);
        const std::uint32_t v = k == 0 ? t & 0xffffU : t >> 16;
        const std::uint32_t both = (v | v << 14) & 0x33333333U;
        s[a] |= (both & 0x03030303U) << shift;
        s[K + a] |= (both >> 4 & 0x03030303U) << shift;
      }
    }
    in += D / 4;
    shift += 2;
  }
  if (bits & 1) {
    load_words<K>(in, w);
    SLUICE_UNROLL
    for (int q = 0; q < 2 * K; ++q) {
      SLUICE_UNROLL
      for (int b = 0; b < 4; ++b) {
        const int n = symbol_index<D>(q, b);
        s[q] |= (w[n / 8] >> (4 * (n % 8) + p) & 1U) << (8 * b + shift);
      }
    }
  }
}

}  // namespace sluice::kv::cuda
