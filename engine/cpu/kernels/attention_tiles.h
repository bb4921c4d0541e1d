#pragma once
// Attention over paged KV with an online softmax (include a simd_*.h and matmul_tiles.h first; method:
// FlashAttention-2, Dao 2023, with the split of keys fixed by position).
//
// A query row sees its keys one span at a time: scores, the span's own maximum, weights and their sum, and the
// weighted values, all relative to that maximum; then the span's triple is merged into the row's running one, in
// ascending order. Spans begin at multiples of kSpan counted from position 0. Masked keys enter sums as exact
// zeros. So a row's result depends on its own position and window only, not on the rows beside it, on where a
// chunk began, or on which spans were computed apart and merged later.
//
// Logarithms are to base 2: log2(e) is folded into the query's scale.
#include "engine/cpu/kernels/kernels.h"

namespace sluice::engine::cpu {
namespace {

constexpr float kMinusInf = -__builtin_inff();

struct AttentionScratch {
  float* keys;     // [kSpan / kCols][head_dim][kCols], transposed
  float* values;   // [dim panels][kSpan][kCols]
  float* queries;  // [head_dim blocks][rows][kRowFloats], scaled
  float* scores;   // [kTileRows][kRowFloats]
  float* output;   // [kTileRows][round_up_dim]
};

/// A half-open range of key positions.
struct KeyRange {
  uint32_t begin, end;
};

inline uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }
inline uint32_t larger(uint32_t a, uint32_t b) { return a > b ? a : b; }

/// Keys that some query at positions first_pos .. last_pos sees within [span, span + kSpan), relative to span; {0, 0}
/// if there are none.
inline KeyRange visible(uint32_t first_pos, uint32_t last_pos, uint32_t window, uint32_t span) {
  const uint32_t first = window != 0 && first_pos + 1 > window ? first_pos + 1 - window : 0;
  const uint32_t begin = larger(first, span), end = smaller(last_pos + 1, span + kSpan);
  return begin < end ? KeyRange{begin - span, end - span} : KeyRange{0, 0};
}

/// Byte offsets in the pools of the rows of positions span + [seen.begin, seen.end), by position within the span.
inline void locate_rows(const AttentionItem& it, uint32_t span, KeyRange seen, size_t (&offset)[kSpan]) {
  const size_t row_bytes = it.kv_stride * (it.kv_f32 ? 4 : 2);
  const uint32_t pos = span + seen.begin;
  uint32_t block = pos / it.block_size, slot = pos % it.block_size;
  for (uint32_t p = seen.begin; p < seen.end; ++block, slot = 0)
    for (size_t row = size_t{it.blocks[block]} * it.block_size + slot; slot < it.block_size && p < seen.end; ++slot)
      offset[p++] = row++ * row_bytes;
}

/// One 4-byte word of dimension d: an f32, or a bf16 widened.
template <bool kF32>
inline uint32_t word_at(const char* row, uint32_t d) {
  if constexpr (kF32) {
    uint32_t word;
    __builtin_memcpy(&word, row + size_t{d} * 4, 4);
    return word;
  } else {
    uint16_t half;
    __builtin_memcpy(&half, row + size_t{d} * 2, 2);
    return static_cast<uint32_t>(half) << 16;
  }
}

void load_queries(const AttentionItem& it, float* queries) {
  const uint32_t rows = it.tokens * it.heads;
  const V scale = V::set1(it.scale * 1.44269504088896341F);
  for (uint32_t r = 0; r < rows; ++r) {
    const float* q = it.q + (r / it.heads) * it.q_stride + size_t{r % it.heads} * it.head_dim;
    for (uint32_t d = 0; d < it.head_dim; d += V::kLanes) {
      const uint32_t n = smaller(V::kLanes, it.head_dim - d);
      float* to = queries + (size_t{d / kRowFloats} * rows + r) * kRowFloats + d % kRowFloats;
      (V::load_part(q + d, n) * scale).store_part(to, n);
    }
  }
}

/// Transposes kLanes keys into one column block of a panel: to[d][kCols].
template <bool kF32>
inline void transpose_keys(const char* const (&key)[V::kLanes], uint32_t head_dim, float* to) {
  constexpr uint32_t kL = V::kLanes, kWordDims = kF32 ? 1 : 2;  // values per 4-byte word
  uint32_t d = 0;
  for (; d + kL * kWordDims <= head_dim; d += kL * kWordDims) {
    Vi w[kL];
#pragma GCC unroll 16
    for (uint32_t i = 0; i < kL; ++i) w[i] = Vi::load(key[i] + size_t{d} * (4 / kWordDims));
    transpose(w);
    float* row = to + size_t{d} * kCols;
#pragma GCC unroll 16
    for (uint32_t i = 0; i < kL; ++i) {
      if constexpr (kF32) {
        floats(w[i]).store(row + i * kCols);
      } else {
        floats(shift_left(w[i], 16)).store(row + 2 * i * kCols);
        floats(upper_half(w[i])).store(row + (2 * i + 1) * kCols);
      }
    }
  }
  for (; d < head_dim; ++d)
    for (uint32_t i = 0; i < kL; ++i) to[size_t{d} * kCols + i] = __builtin_bit_cast(float, word_at<kF32>(key[i], d));
}

/// Lays out one value row in its panels: to[dim panel][kSpan][kCols], zero-padded to whole panels.
template <bool kF32>
inline void spread_value(const char* v, uint32_t head_dim, float* to) {
  uint32_t d = 0;
  for (; d + V::kLanes <= head_dim; d += V::kLanes) {
    float* at = to + size_t{d / kCols} * kSpan * kCols + d % kCols;
    if constexpr (kF32)
      V::load(reinterpret_cast<const float*>(v) + d).store(at);
    else
      widen_bf16(reinterpret_cast<const uint16_t*>(v) + d).store(at);
  }
  for (; d < (head_dim + kCols - 1) / kCols * kCols; ++d)
    to[size_t{d / kCols} * kSpan * kCols + d % kCols] =
        d < head_dim ? __builtin_bit_cast(float, word_at<kF32>(v, d)) : 0.0F;
}

/// Asks for a row's cache lines; the address may lie outside the pool, it is never dereferenced.
inline void fetch_ahead(const char* row, uint32_t bytes) {
  for (uint32_t b = 0; b < bytes; b += 64) __builtin_prefetch(row + b, 0, 2);
}

/// Lays out the keys and values of positions span + [seen.begin, seen.end) for the tiles. Columns of keys beside that
/// range hold copies of a key within it: their scores are masked.
template <bool kF32>
void load_span(const AttentionItem& it, uint32_t span, KeyRange seen, const AttentionScratch& s) {
  constexpr uint32_t kL = V::kLanes, kAhead = 2 * kL;  // key rows fetched ahead of use
  const auto* keys = static_cast<const char*>(it.k);
  const auto* values = static_cast<const char*>(it.v);
  const uint32_t row_bytes = it.head_dim * (kF32 ? 4 : 2);
  size_t offset[kSpan];
  locate_rows(it, span, seen, offset);
  const uint32_t panel_end = (seen.end + kCols - 1) / kCols * kCols;
  for (uint32_t p = seen.begin / kCols * kCols; p < panel_end; p += kL) {
    const char* key[kL];
    for (uint32_t i = 0; i < kL; ++i) key[i] = keys + offset[smaller(larger(p + i, seen.begin), seen.end - 1)];
    for (uint32_t q = larger(p, seen.begin); q < smaller(p + kL, seen.end); ++q) {
      fetch_ahead(values + offset[q], row_bytes);
      fetch_ahead(keys + offset[smaller(q + kAhead, seen.end - 1)], row_bytes);
      // The next item is often the next head: its rows lie beside these.
      fetch_ahead(keys + offset[q] + row_bytes, row_bytes);
    }
    transpose_keys<kF32>(key, it.head_dim, s.keys + size_t{p / kCols} * it.head_dim * kCols + p % kCols);
  }
  for (uint32_t p = seen.begin; p < seen.end; ++p) {
    fetch_ahead(values + offset[p] + row_bytes, row_bytes);
    spread_value<kF32>(values + offset[p], it.head_dim, s.values + size_t{p} * kCols);
  }
}

/// state (+)= one span's max, sum and output.
inline void merge_row(float* state, float max, float sum, const float* output, uint32_t head_dim) {
  if (sum == 0.0F) return;  // the row sees nothing there
  if (state[1] == 0.0F) {
    state[0] = max;
    state[1] = sum;
    for (uint32_t d = 0; d < head_dim; d += V::kLanes) V::load(output + d).store(state + kStateHead + d);
    return;
  }
  const float top = state[0] > max ? state[0] : max;
  const V old_factor = exp2(V::set1(state[0] - top)), new_factor = exp2(V::set1(max - top));
  float sums[V::kLanes];
  fma(V::set1(sum), new_factor, V::set1(state[1]) * old_factor).store(sums);
  state[0] = top;
  state[1] = sums[0];
  for (uint32_t d = 0; d < head_dim; d += V::kLanes) {
    float* o = state + kStateHead + d;
    fma(V::load(output + d), new_factor, V::load(o) * old_factor).store(o);
  }
}

inline void finish_row(const float* state, uint32_t head_dim, float* out) {
  const V sum = V::set1(state[1]);
  for (uint32_t d = 0; d < head_dim; d += V::kLanes)
    (V::load(state + kStateHead + d) / sum).store_part(out + d, smaller(V::kLanes, head_dim - d));
}

/// Turns one row of scores into weights over [seen], zeros elsewhere in [begin, end); returns max and sum.
inline void soften(float* scores, KeyRange seen, KeyRange tile, float& max_out, float& sum_out) {
  constexpr uint32_t kL = V::kLanes;
  const uint32_t begin = tile.begin / kL * kL, end = (tile.end + kL - 1) / kL * kL;
  for (uint32_t i = begin; i < seen.begin; ++i) scores[i] = kMinusInf;
  for (uint32_t i = seen.end; i < end; ++i) scores[i] = kMinusInf;
  V top = V::set1(kMinusInf);
  for (uint32_t i = begin; i < end; i += kL) top = max(top, V::load(scores + i));
  const float m = largest(top);
  V total = V::zero();
  for (uint32_t i = begin; i < end; i += kL) {
    const V w = exp2(V::load(scores + i) - V::set1(m));
    w.store(scores + i);
    total = total + w;
  }
  max_out = m;
  sum_out = sum(total);
}

/// What the tile reads lies in the caches already: fetching "ahead" the same line costs nothing.
inline void run_tile(uint32_t rows, const float* a, const float* b, uint32_t steps, bool accumulate, float* c,
                     size_t ldc) {
  kF32Matmul.tile[rows]({a, b, steps, accumulate, c, ldc, reinterpret_cast<const char*>(b), 0});
}

/// One tile of query rows [row, row + n) against one span.
void attend_tile(const AttentionItem& it, uint32_t span, uint32_t row, uint32_t n, const AttentionScratch& s) {
  const uint32_t rows = it.tokens * it.heads, dim = it.head_dim;
  const uint32_t first_pos = it.first_pos + row / it.heads, last_pos = it.first_pos + (row + n - 1) / it.heads;
  const KeyRange tile = visible(first_pos, last_pos, it.window, span);
  if (tile.begin == tile.end) return;

  for (uint32_t p = tile.begin / kCols * kCols; p < tile.end; p += kCols)
    for (uint32_t d = 0; d < dim; d += kRowFloats) {
      const float* queries = s.queries + (size_t{d / kRowFloats} * rows + row) * kRowFloats;
      const float* keys = s.keys + (size_t{p / kCols} * dim + d) * kCols;
      run_tile(n, queries, keys, smaller(kRowFloats, dim - d), d != 0, s.scores + p, kRowFloats);
    }

  float maxima[kTileRows], sums[kTileRows];
  for (uint32_t r = 0; r < n; ++r) {
    const uint32_t pos = it.first_pos + (row + r) / it.heads;
    const KeyRange seen = visible(pos, pos, it.window, span);
    float* scores = s.scores + size_t{r} * kRowFloats;
    if (seen.begin == seen.end) {
      for (uint32_t i = tile.begin; i < tile.end; ++i) scores[i] = 0.0F;
      maxima[r] = kMinusInf;
      sums[r] = 0.0F;
    } else {
      soften(scores, seen, tile, maxima[r], sums[r]);
    }
  }
  const uint32_t padded = round_up_dim(dim);
  for (uint32_t d = 0; d < dim; d += kCols) {
    const float* values = s.values + (size_t{d / kCols} * kSpan + tile.begin) * kCols;
    run_tile(n, s.scores + tile.begin, values, tile.end - tile.begin, false, s.output + d, padded);
  }
  for (uint32_t r = 0; r < n; ++r)
    merge_row(it.state + size_t{row + r} * state_floats(dim), maxima[r], sums[r], s.output + size_t{r} * padded, dim);
}

void attend(const AttentionItem& it, float* scratch) {
  const uint32_t dim = it.head_dim, rows = it.tokens * it.heads;
  AttentionScratch s{};
  s.keys = scratch;
  s.values = s.keys + size_t{kSpan} * round_up_dim(dim);
  s.queries = s.values + size_t{kSpan} * round_up_dim(dim);
  s.scores = s.queries + size_t{rows} * kRowFloats * ((dim + kRowFloats - 1) / kRowFloats);
  s.output = s.scores + size_t{kTileRows} * kRowFloats;
  load_queries(it, s.queries);
  for (uint32_t r = 0; r < rows; ++r) {
    it.state[size_t{r} * state_floats(dim)] = kMinusInf;
    it.state[size_t{r} * state_floats(dim) + 1] = 0.0F;
  }
  const uint32_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (uint32_t sp = it.span_begin; sp < it.span_end; ++sp) {
    const uint32_t span = sp * kSpan;
    const KeyRange seen = visible(it.first_pos, it.first_pos + it.tokens - 1, it.window, span);
    if (seen.begin == seen.end) continue;
    if (it.kv_f32)
      load_span<true>(it, span, seen, s);
    else
      load_span<false>(it, span, seen, s);
    for (uint32_t t = 0; t < tiles; ++t) {
      const uint32_t row = rows * t / tiles;
      attend_tile(it, span, row, rows * (t + 1) / tiles - row, s);
    }
  }
  if (it.out == nullptr) return;
  for (uint32_t r = 0; r < rows; ++r)
    finish_row(it.state + size_t{r} * state_floats(dim), dim,
               it.out + (r / it.heads) * it.out_stride + size_t{r % it.heads} * dim);
}

void merge_parts(const float* parts, size_t part_stride, uint32_t count, uint32_t head_dim, float* state, float* out) {
  state[0] = kMinusInf;
  state[1] = 0.0F;
  for (uint32_t p = 0; p < count; ++p) {
    const float* part = parts + p * part_stride;
    merge_row(state, part[0], part[1], part + kStateHead, head_dim);
  }
  finish_row(state, head_dim, out);
}

}  // namespace
}  // namespace sluice::engine::cpu
