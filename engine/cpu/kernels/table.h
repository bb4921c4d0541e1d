#pragma once
// One instruction set's table (include a simd_*.h first).
#include "engine/cpu/kernels/matmul_tiles.h"
// clang-format off
#include "engine/cpu/kernels/rowwise.h"
#include "engine/cpu/kernels/attention_tiles.h"
// clang-format on

namespace sluice::engine::cpu {
namespace {

constexpr Kernels kTable{kName,   make_bf16_matmul(), kF32Matmul, rms_norm_row, rope_row, silu_mul_row,
                         add_all, to_bf16_all,        attend,     merge_parts};

}  // namespace
}  // namespace sluice::engine::cpu
