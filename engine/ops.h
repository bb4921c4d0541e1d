#pragma once
// The arithmetic an engine backend offers. A model is written once against Ops; a backend (engine/cpu,
// engine/cuda) implements it.
//
// Determinism contract: a row of any result depends only on that row's inputs and the weights, never on the
// number of rows `m`, on the other rows, on how a prompt is cut into chunks, or on the number of threads.
// The order of every floating-point sum is therefore fixed by shape alone.
//
// Threading: calls on one Ops are made by one thread at a time; a backend parallelises inside a call.
// Failure: arguments are ours (never user input), so there are no error returns; sizes are checked at load.
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "common/ids.h"
#include "engine/dtype.h"

namespace sluice::engine {

/// Row-major weight [n, k] as it lies in the file (output features x input features).
struct WeightView {
  const void* data = nullptr;
  DType dtype = DType::bf16;
  std::uint32_t n = 0;
  std::uint32_t k = 0;
};

/// A weight matrix in the backend's own layout, made once at load by Ops::pack.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  [[nodiscard]] virtual std::uint32_t n() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t k() const noexcept = 0;
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
};

/// Precision of matrix products. bf16: weights bf16, activations rounded to bf16, f32 sums. f32: all f32.
enum class Precision : std::uint8_t { bf16, f32 };

/// Consecutive query rows of one sequence.
struct AttentionSeq {
  std::uint32_t first_row = 0;      // index of the first query row in q/out
  std::uint32_t rows = 0;           // query rows (1 in decode)
  std::uint32_t first_pos = 0;      // position of the first query row; KV of [0, first_pos + rows) is in the pool
  const BlockId* blocks = nullptr;  // block table, ceil((first_pos + rows) / block_size) entries
};

struct AttentionArgs {
  const float* q = nullptr;  // [rows, q_stride], head h at h * head_dim
  std::uint32_t q_stride = 0;
  const std::byte* k = nullptr;  // layer's key pool: [num_blocks, block_size, kv_heads, head_dim] of kv_dtype
  const std::byte* v = nullptr;  // layer's value pool, same shape
  DType kv_dtype = DType::bf16;
  std::uint32_t heads = 0, kv_heads = 0, head_dim = 0, block_size = 0;
  std::uint32_t window = 0;  // sliding window in tokens (a query sees itself and window - 1 before); 0 = none
  float scale = 1.0F;
  std::span<const AttentionSeq> seqs;
  float* out = nullptr;  // [rows, heads * head_dim]
};

/// Where new K and V rows go.
struct KvWriteArgs {
  const float* k = nullptr;  // [rows, stride]: kv_heads * head_dim values each
  const float* v = nullptr;
  std::uint32_t stride = 0;
  std::byte* k_pool = nullptr;  // as AttentionArgs::k
  std::byte* v_pool = nullptr;
  DType kv_dtype = DType::bf16;
  std::uint32_t row_values = 0;  // kv_heads * head_dim
  std::uint32_t block_size = 0;
  std::span<const AttentionSeq> seqs;
};

class Ops {
 public:
  virtual ~Ops() = default;
  [[nodiscard]] virtual std::string_view backend()
      const noexcept = 0;  // "scalar", "avx2", "avx512", "avx512_bf16"; names differ where bits do
  [[nodiscard]] virtual Precision precision() const noexcept = 0;

  /// Packs weights stacked along n (q,k,v or gate,up as one matrix). All parts share k.
  [[nodiscard]] virtual std::unique_ptr<PackedMatrix> pack(std::span<const WeightView> parts) = 0;
  /// y[m, n] = x[m, k] * W^T (+ bias[n] when given). x and y do not overlap.
  virtual void matmul(const float* x, const PackedMatrix& w, const float* bias, float* y, std::uint32_t m) = 0;
  /// y[r, :] = x[r, :] / rms(x[r, :]) * weight, for `rows` rows of `width` values, `stride` apart (in place allowed).
  virtual void rms_norm(const float* x, const float* weight, float eps, float* y, std::uint32_t rows,
                        std::uint32_t width, std::uint32_t x_stride, std::uint32_t y_stride) = 0;
  /// Rotates pairs (i, i + head_dim/2) of each head in place. inv_freq: [head_dim / 2]; positions: [m].
  virtual void rope(float* x, std::uint32_t stride, std::uint32_t heads, std::uint32_t head_dim,
                    const std::int32_t* positions, const float* inv_freq, float attention_factor, std::uint32_t m) = 0;
  /// y[m, ffn] = silu(gate_up[m, 0:ffn]) * gate_up[m, ffn:2*ffn].
  virtual void silu_mul(const float* gate_up, float* y, std::uint32_t m, std::uint32_t ffn) = 0;
  /// x[i] += y[i].
  virtual void add(float* x, const float* y, std::size_t count) = 0;
  virtual void kv_write(const KvWriteArgs& a) = 0;
  virtual void attention(const AttentionArgs& a) = 0;
};

}  // namespace sluice::engine
