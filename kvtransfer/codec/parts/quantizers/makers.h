#pragma once
// Who makes which quantizer; for quantizer.cpp and the files that define them. c is of that kind, and was checked.
#include "kvtransfer/codec/parts/quantizer.h"

namespace sluice::kv {

[[nodiscard]] std::unique_ptr<Quantizer> make_absmax(const ClassSpec& c, const Kernels& k);
[[nodiscard]] std::unique_ptr<Quantizer> make_fp8(const ClassSpec& c, const Kernels& k);
[[nodiscard]] std::unique_ptr<Quantizer> make_lloyd(const ClassSpec& c, const Kernels& k);
[[nodiscard]] std::unique_ptr<Quantizer> make_uniform(const ClassSpec& c, const Kernels& k);
[[nodiscard]] std::unique_ptr<Quantizer> make_minmax(const ClassSpec& c, const Kernels& k);

}  // namespace sluice::kv
