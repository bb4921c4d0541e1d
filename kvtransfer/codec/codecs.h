#pragma once
// The codecs of this build, each stateless. docs/codecs.md says what each is for, docs/wire_format.md what it writes.
#include <memory>
#include <string_view>

#include "kvtransfer/codec/codec.h"
#include "kvtransfer/codec/kernels/exponents.h"
#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/calibration.h"
#include "kvtransfer/codec/profile/spec.h"

namespace sluice::kv {

/// Number of a profile's codec on the wire: a hash of `composition`, which is canonical(p) and the digest of the
/// calibration if p uses it.
[[nodiscard]] std::string composition(const ProfileSpec& p, const CalibrationPtr& calibration);
[[nodiscard]] std::uint32_t codec_id(std::string_view composition);

[[nodiscard]] std::unique_ptr<Codec> make_raw(std::uint32_t id);
[[nodiscard]] std::unique_ptr<Codec> make_ll(std::uint32_t id, const ExponentKernels& k);
/// What p is composed of; p.codec is empty, and there is a calibration if p uses it.
[[nodiscard]] std::unique_ptr<Codec> make_pipeline(std::uint32_t id, const ProfileSpec& p, Isa isa,
                                                   const CalibrationPtr& calibration);

/// As make_registry(), with the kernels of one instruction set; isa must be supported.
[[nodiscard]] std::unique_ptr<CodecRegistry> make_registry(Isa isa);
[[nodiscard]] Result<std::unique_ptr<CodecRegistry>> make_registry(std::string_view profiles_json, Isa isa,
                                                                   const CalibrationPtr& calibration = nullptr);

}  // namespace sluice::kv
