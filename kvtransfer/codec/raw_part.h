#pragma once
// A part as it is, for heads that a profile protects.
#include <memory>

#include "kvtransfer/codec/part.h"

namespace sluice::kv {

[[nodiscard]] std::unique_ptr<PartCodec> make_raw_part();

}  // namespace sluice::kv
