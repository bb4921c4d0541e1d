#pragma once
// Who makes which plane coder; for plane_coder.cpp and the files that define them.
#include "kvtransfer/codec/parts/plane_coder.h"

namespace sluice::kv {

[[nodiscard]] std::unique_ptr<PlaneCoder> make_rans_coder(const Alphabet& alphabet, Isa isa);
[[nodiscard]] std::unique_ptr<PlaneCoder> make_zstd_coder(const Alphabet& alphabet, Isa isa);
[[nodiscard]] std::unique_ptr<PlaneCoder> make_lz4_coder(const Alphabet& alphabet, Isa isa);

}  // namespace sluice::kv
