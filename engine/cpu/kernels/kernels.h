#pragma once
// The inner loops of the CPU backend as tables of plain functions, one table per instruction set.
//
// Each table is compiled in a source file of its own with that instruction set's flags. Such a file may include
// only this header and its siblings here, whose code lies in an anonymous namespace: an inline function or
// template shared with other files could be emitted there with instructions the machine lacks, and the linker
// would be free to pick that copy for everybody (tests/engine_cpu checks that the objects hold no weak symbol).
#include <stddef.h>
#include <stdint.h>

namespace sluice::engine::cpu {

/// Rows of a left operand lie this many bytes apart, so that a kernel addresses them with constants.
constexpr uint32_t kRowBytes = 1024;
constexpr uint32_t kRowFloats = kRowBytes / 4;
constexpr uint32_t kMaxTileRows = 12, kMaxTileCols = 32;
/// Attention walks keys in spans of this many positions, counted from position 0 of the sequence.
constexpr uint32_t kSpan = 256;

struct TileArgs {
  const void* a;  // [rows], kRowBytes apart
  const void* b;  // [steps][cols] words of 4 bytes
  uint32_t steps;
  bool accumulate;
  float* c;
  size_t ldc;
  /// Two cache lines at ahead + step * ahead_stride are fetched towards the caches with every step: the weights the
  /// following calls will read, so that memory and multipliers work at the same time. Never dereferenced.
  const char* ahead;
  size_t ahead_stride;
};

/// c[rows, cols] (+)= a[rows, steps] * b[steps, cols]; rows is fixed per function, cols by the table. Each element
/// is one chain of multiply-adds over the steps in ascending order, continued from c when accumulating: so the
/// result depends neither on `rows` nor on how the steps are cut into calls.
using TileFn = void (*)(const TileArgs& t);

/// One precision's matrix product. Weights lie in panels of `cols` outputs: [panel][step][cols] words of 4 bytes; a
/// step is one f32 of k, or a pair of bf16 (the lower k in the lower half).
struct MatmulKernel {
  uint32_t rows = 0;        // tallest tile, at most kMaxTileRows
  uint32_t cols = 0;        // panel width
  uint32_t k_per_step = 1;  // 1 (f32) or 2 (bf16 pairs)
  uint32_t block_k = 0;     // k values in a packed row of kRowBytes
  /// Packs count <= block_k values of one row of x, zero-padded to a whole step.
  void (*pack_row)(const float* x, uint32_t count, void* a) = nullptr;
  TileFn tile[kMaxTileRows + 1] = {};  // by rows, from 1
};

/// Attention of some tokens of one sequence, for query heads that share one KV head, over some spans of keys.
struct AttentionItem {
  const float* q;  // first token, first head: [tokens, q_stride], heads head_dim apart
  size_t q_stride;
  const void* k;  // pool, moved to this KV head: [num_blocks, block_size, kv_stride]
  const void* v;
  size_t kv_stride;        // kv_heads * head_dim
  const uint32_t* blocks;  // the sequence's block table
  uint32_t tokens, heads;  // query rows are tokens x heads, at most kMaxItemRows
  uint32_t head_dim, block_size, window;
  uint32_t first_pos;             // position of the first token
  uint32_t span_begin, span_end;  // spans to visit
  float scale;
  bool kv_f32;
  float* out;  // where the finished rows go: [tokens, out_stride]; null leaves them in state
  size_t out_stride;
  float* state;  // [tokens * heads][state_floats(head_dim)] running max (base 2), sum, then unscaled output
};

constexpr uint32_t kMaxItemRows = 96;
constexpr uint32_t kStateHead = 16;  // floats before the output in a state row: max, sum, padding to a vector
constexpr uint32_t round_up_dim(uint32_t head_dim) { return (head_dim + 31) / 32 * 32; }
constexpr uint32_t state_floats(uint32_t head_dim) { return kStateHead + round_up_dim(head_dim); }

/// Scratch one worker needs for attend(), in floats: keys transposed, values, queries, scores, a tile's output.
constexpr size_t attention_scratch_floats(uint32_t head_dim) {
  return size_t{2} * kSpan * round_up_dim(head_dim) +
         size_t{kMaxItemRows} * kRowFloats * ((head_dim + kRowFloats - 1) / kRowFloats) +
         size_t{kMaxTileRows} * (kRowFloats + round_up_dim(head_dim));
}

struct Kernels {
  const char* name = nullptr;
  MatmulKernel bf16;
  MatmulKernel f32;
  void (*rms_norm_row)(const float* x, const float* weight, float eps, float* y, uint32_t width) = nullptr;
  /// cos, sin: [head_dim / 2]
  void (*rope_row)(float* x, uint32_t heads, uint32_t head_dim, const float* cos, const float* sin) = nullptr;
  void (*silu_mul_row)(const float* gate, const float* up, float* y, uint32_t n) = nullptr;
  void (*add)(float* x, const float* y, size_t n) = nullptr;
  void (*to_bf16)(const float* x, uint16_t* y, size_t n) = nullptr;
  void (*attend)(const AttentionItem& item, float* scratch) = nullptr;
  /// Merges `count` states of one query row, `part_stride` floats apart and in ascending span order, into out;
  /// state is scratch for one state row.
  void (*merge)(const float* parts, size_t part_stride, uint32_t count, uint32_t head_dim, float* state,
                float* out) = nullptr;
};

const Kernels& scalar_kernels();
#if defined(SLUICE_CPU_X86)
const Kernels& avx2_kernels();             // AVX2 + FMA
const Kernels& avx512_kernels();           // AVX-512 F, BW, DQ, VL
const MatmulKernel& avx512_bf16_matmul();  // the same and AVX512_BF16
#endif

}  // namespace sluice::engine::cpu
