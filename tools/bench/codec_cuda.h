#pragma once
// The codec suite's figures on a GPU.
#include <vector>

#include "common/result.h"
#include "tools/bench/suites.h"

namespace sluice::bench {

/// Adds <profile>/cuda/<tokens>_tokens/... for every profile that the CUDA codec takes; nothing where this build has no
/// CUDA or this machine no device.
[[nodiscard]] Result<> add_cuda_figures(std::vector<Figure>& out, const BenchOptions& options);

}  // namespace sluice::bench
