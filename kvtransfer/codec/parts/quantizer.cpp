#include "kvtransfer/codec/parts/quantizer.h"

#include <algorithm>

#include "kvtransfer/codec/parts/quantizers/makers.h"

namespace sluice::kv {
namespace {

struct Entry {
  QuantizerKind kind;
  std::unique_ptr<Quantizer> (*make)(const ClassSpec& c, const Kernels& k);
};

constexpr Entry kQuantizers[] = {
    {QuantizerKind::absmax, make_absmax},   {QuantizerKind::fp8, make_fp8},       {QuantizerKind::lloyd, make_lloyd},
    {QuantizerKind::uniform, make_uniform}, {QuantizerKind::minmax, make_minmax},
};

}  // namespace

std::unique_ptr<Quantizer> make_quantizer(const ClassSpec& c, const Kernels& k) {
  const auto* const e = std::ranges::find(kQuantizers, c.quantizer, &Entry::kind);
  return e == std::end(kQuantizers) ? nullptr : e->make(c, k);
}

}  // namespace sluice::kv
