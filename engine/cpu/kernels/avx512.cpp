#include "engine/cpu/kernels/simd_avx512.h"
// The table's code is written over the vector type named above.
#include "engine/cpu/kernels/table.h"

namespace sluice::engine::cpu {

const Kernels& avx512_kernels() { return kTable; }

}  // namespace sluice::engine::cpu
