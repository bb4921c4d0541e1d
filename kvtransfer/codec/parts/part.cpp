#include "kvtransfer/codec/parts/part.h"

#include "kvtransfer/codec/parts/lossless.h"
#include "kvtransfer/codec/parts/quant.h"

namespace sluice::kv {

std::unique_ptr<PartCodec> make_part(const ClassSpec& c, Isa isa, const CalibrationPtr& calibration) {
  switch (c.coder) {
    case Coder::raw:
      return make_raw_part();
    case Coder::split4:
      return make_split4_part(isa);
    case Coder::exp_rans:
      return make_exp_rans_part(isa);
    case Coder::pack:
    case Coder::rans:
    case Coder::zstd:
    case Coder::lz4:
      break;
  }
  return make_quant_part(c, isa, calibration);
}

}  // namespace sluice::kv
