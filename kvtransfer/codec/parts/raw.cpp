#include "kvtransfer/codec/parts/lossless.h"

#include <cstring>

namespace sluice::kv {
namespace {

class RawPart final : public PartCodec {
 public:
  bool lossless() const noexcept override { return true; }
  bool supports(const PartShape&) const noexcept override { return true; }
  std::size_t max_bytes(const PartShape& p) const noexcept override { return 2 * p.values(); }
  std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out, CodecScratch&) const override {
    for (std::size_t r = 0; r < rows.size(); ++r) std::memcpy(out + 2 * r * p.width(), rows[r], 2 * p.width());
    return max_bytes(p);
  }
  Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows, CodecScratch&) const override {
    if (in.size() != max_bytes(p))
      return fail(Errc::data_corrupt, "a raw part of {} bytes, {} expected", in.size(), max_bytes(p));
    for (std::size_t r = 0; r < rows.size(); ++r) std::memcpy(rows[r], in.data() + 2 * r * p.width(), 2 * p.width());
    return {};
  }
};

}  // namespace

std::unique_ptr<PartCodec> make_raw_part() { return std::make_unique<RawPart>(); }

}  // namespace sluice::kv
