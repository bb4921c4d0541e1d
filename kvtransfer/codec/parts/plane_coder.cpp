#include "kvtransfer/codec/parts/plane_coder.h"

#include <algorithm>

#include "kvtransfer/codec/parts/coders/makers.h"

namespace sluice::kv {
namespace {

struct Entry {
  Coder coder;
  std::unique_ptr<PlaneCoder> (*make)(const Alphabet& alphabet, Isa isa);
};

constexpr Entry kCoders[] = {
    {Coder::rans, make_rans_coder}, {Coder::zstd, make_zstd_coder}, {Coder::lz4, make_lz4_coder}};

}  // namespace

std::unique_ptr<PlaneCoder> make_plane_coder(Coder coder, const Alphabet& alphabet, Isa isa) {
  const auto* const e = std::ranges::find(kCoders, coder, &Entry::coder);
  return e == std::end(kCoders) ? nullptr : e->make(alphabet, isa);
}

}  // namespace sluice::kv
