#include "engine/cpu/cpu_ops.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/cpu/attention.h"
#include "engine/cpu/cpu_features.h"
#include "engine/cpu/kernels/kernels.h"
#include "engine/cpu/matmul.h"
#include "engine/cpu/rope_table.h"
#include "engine/cpu/thread_pool.h"

namespace sluice::engine {
namespace {

using cpu::Kernels;

/// Values below which a row-wise operation is not worth waking workers for.
constexpr std::size_t kWorthSplitting = 16384;

class CpuOps final : public Ops {
 public:
  CpuOps(Precision precision, std::string name, const Kernels& kernels, std::uint32_t threads)
      : precision_(precision),
        name_(std::move(name)),
        kernels_(kernels),
        pool_(threads),
        matmul_(precision == Precision::bf16 ? kernels_.bf16 : kernels_.f32, pool_),
        attention_(kernels_, pool_) {}

  [[nodiscard]] std::string_view backend() const noexcept override { return name_; }
  [[nodiscard]] Precision precision() const noexcept override { return precision_; }

  [[nodiscard]] std::unique_ptr<PackedMatrix> pack(std::span<const WeightView> parts) override {
    return std::make_unique<cpu::PanelMatrix>(parts, precision_ == Precision::bf16 ? kernels_.bf16 : kernels_.f32,
                                              pool_);
  }

  void matmul(const float* x, const PackedMatrix& w, const float* bias, float* y, std::uint32_t m) override {
    matmul_.run(x, static_cast<const cpu::PanelMatrix&>(w), bias, y, m);
  }

  void rms_norm(const float* x, const float* weight, float eps, float* y, std::uint32_t rows, std::uint32_t width,
                std::uint32_t x_stride, std::uint32_t y_stride) override {
    each_row(rows, width,
             [&](std::size_t r) { kernels_.rms_norm_row(x + r * x_stride, weight, eps, y + r * y_stride, width); });
  }

  void rope(float* x, std::uint32_t stride, std::uint32_t heads, std::uint32_t head_dim, const std::int32_t* positions,
            const float* inv_freq, float attention_factor, std::uint32_t m) override {
    if (!rope_.holds(positions, m, inv_freq, head_dim / 2, attention_factor))
      rope_.fill(positions, m, inv_freq, head_dim / 2, attention_factor);
    each_row(m, std::size_t{heads} * head_dim,
             [&](std::size_t r) { kernels_.rope_row(x + r * stride, heads, head_dim, rope_.cos(r), rope_.sin(r)); });
  }

  void silu_mul(const float* gate_up, float* y, std::uint32_t m, std::uint32_t ffn) override {
    each_row(m, ffn, [&](std::size_t r) {
      const float* gate = gate_up + r * 2 * ffn;
      kernels_.silu_mul_row(gate, gate + ffn, y + r * ffn, ffn);
    });
  }

  void add(float* x, const float* y, std::size_t count) override {
    pool_.parallel_for(count, kWorthSplitting,
                       [&](std::size_t b, std::size_t e, std::uint32_t) { kernels_.add(x + b, y + b, e - b); });
  }

  void kv_write(const KvWriteArgs& a) override {
    for (const auto& seq : a.seqs)
      each_row(seq.rows, std::size_t{2} * a.row_values, [&](std::size_t r) {
        const std::size_t pos = seq.first_pos + r;
        const std::size_t slot =
            std::size_t{seq.blocks[pos / a.block_size].value()} * a.block_size + pos % a.block_size;
        const std::size_t from = (seq.first_row + r) * a.stride;
        store_row(a.k + from, a.k_pool, slot, a);
        store_row(a.v + from, a.v_pool, slot, a);
      });
  }

  void attention(const AttentionArgs& a) override { attention_.run(a); }

 private:
  /// fn(row) for all rows, in pieces of about kWorthSplitting values.
  template <class F>
  void each_row(std::size_t rows, std::size_t width, F&& fn) {
    pool_.parallel_for(rows, std::max<std::size_t>(1, kWorthSplitting / std::max<std::size_t>(1, width)),
                       [&](std::size_t begin, std::size_t end, std::uint32_t) {
                         for (std::size_t r = begin; r < end; ++r) fn(r);
                       });
  }

  void store_row(const float* from, std::byte* pool, std::size_t slot, const KvWriteArgs& a) const {
    std::byte* to = pool + slot * a.row_values * size_of(a.kv_dtype);
    if (a.kv_dtype == DType::f32)
      std::memcpy(to, from, a.row_values * sizeof(float));
    else
      kernels_.to_bf16(from, reinterpret_cast<std::uint16_t*>(to), a.row_values);
  }

  Precision precision_;
  std::string name_;
  Kernels kernels_;
  cpu::ThreadPool pool_;
  cpu::Matmul matmul_;
  cpu::Attention attention_;
  cpu::RopeTable rope_;
};

struct Choice {
  std::string name;
  Kernels kernels;
};

Result<Choice> choose(std::string_view isa, Precision precision) {
  if (isa != "auto" && isa != "scalar" && isa != "avx2" && isa != "avx512" && isa != "avx512_nobf16")
    return fail(Errc::invalid_argument,
                "unknown instruction set '{}'; one of auto, scalar, avx2, avx512, avx512_nobf16 is meant", isa);
#if defined(SLUICE_CPU_X86)
  const auto has = cpu::cpu_features();
  if (has.avx512 && (isa == "auto" || isa.starts_with("avx512"))) {
    Choice c{"avx512", cpu::avx512_kernels()};
    if (precision != Precision::bf16 || !has.avx512_bf16 || isa == "avx512_nobf16") return c;
    c.kernels.bf16 = cpu::avx512_bf16_matmul();
    c.name = "avx512_bf16";  // its products round otherwise
    return c;
  }
  if (has.avx2 && (isa == "auto" || isa == "avx2")) return Choice{"avx2", cpu::avx2_kernels()};
#endif
  if (isa == "auto" || isa == "scalar") return Choice{"scalar", cpu::scalar_kernels()};
  return fail(Errc::unsupported, "this machine's CPU cannot run '{}' kernels; use isa 'auto'", isa);
}

}  // namespace

Result<std::unique_ptr<Ops>> make_cpu_ops(Precision precision, std::string_view isa, std::uint32_t threads) {
  SLUICE_ASSIGN(auto choice, choose(isa, precision));
  return std::make_unique<CpuOps>(precision, std::move(choice.name), choice.kernels, threads);
}

}  // namespace sluice::engine
