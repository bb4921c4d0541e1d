#include "engine/cpu/kernels/simd_avx2.h"
// The table's code is written over the vector type named above.
#include "engine/cpu/kernels/table.h"

namespace sluice::engine::cpu {

const Kernels& avx2_kernels() { return kTable; }

}  // namespace sluice::engine::cpu
