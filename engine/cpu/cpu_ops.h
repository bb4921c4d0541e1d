#pragma once
// The CPU backend: Ops over kernels of our own (docs/adr/0002-own-cpu-kernels.md says why not a library's).
//
// Threading: as Ops; the backend owns its worker threads. Failure: make_cpu_ops refuses an instruction set that is
// unknown (invalid_argument) or that this machine lacks (unsupported).
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/result.h"
#include "engine/ops.h"

namespace sluice::engine {

/// isa: "auto" (the best here), "scalar", "avx2", "avx512" (with BF16 dot products where the CPU has them), or
/// "avx512_nobf16". threads: 0 takes every core this process may run on. Two isa's results differ in rounding.
[[nodiscard]] Result<std::unique_ptr<Ops>> make_cpu_ops(Precision precision, std::string_view isa,
                                                        std::uint32_t threads);

}  // namespace sluice::engine
