#include "engine/cpu/kernels/simd_scalar.h"
// The table's code is written over the vector type named above.
#include "engine/cpu/kernels/table.h"

namespace sluice::engine::cpu {

const Kernels& scalar_kernels() { return kTable; }

}  // namespace sluice::engine::cpu
