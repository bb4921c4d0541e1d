#pragma once
// Lossless parts. An exponent takes few of its 256 values, sign and mantissa are noise and stay as they are. Exact for
// every bit pattern. docs/wire_format.md, "split4" and "exponent rANS", has the bytes.
#include <memory>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/part.h"

namespace sluice::kv {

/// A part as it is, for heads that a profile protects.
[[nodiscard]] std::unique_ptr<PartCodec> make_raw_part();

/// Exponents in four bits below the largest of a block of values, others as escapes. 12 bits a value, one pass.
[[nodiscard]] std::unique_ptr<PartCodec> make_split4_part(Isa isa);

/// Exponents through rANS with a table of the part's own: slower and smaller, about 10.7 bits a value.
[[nodiscard]] std::unique_ptr<PartCodec> make_exp_rans_part(Isa isa);

}  // namespace sluice::kv
