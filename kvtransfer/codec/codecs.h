#pragma once
// The codecs of this build, each stateless. docs/codecs.md says what each is for, docs/wire_format.md what it writes.
#include <memory>

#include "kvtransfer/codec/codec.h"
#include "kvtransfer/codec/kernels.h"

namespace sluice::kv {

/// Numbers on the wire: never reused, never renumbered.
inline constexpr std::uint16_t kRawId = 1, kLlId = 2, kQ8Id = 3, kH4Id = 4;
inline constexpr std::uint8_t kRawVersion = 1, kLlVersion = 1, kQ8Version = 1, kH4Version = 1;

[[nodiscard]] std::unique_ptr<Codec> make_raw();
[[nodiscard]] std::unique_ptr<Codec> make_ll(const Kernels& k);
[[nodiscard]] std::unique_ptr<Codec> make_q8(const Kernels& k);
[[nodiscard]] std::unique_ptr<Codec> make_h4(const Kernels& k);

/// As make_registry(), with the kernels of one instruction set; isa must be supported.
[[nodiscard]] std::unique_ptr<CodecRegistry> make_registry(Isa isa);

}  // namespace sluice::kv
