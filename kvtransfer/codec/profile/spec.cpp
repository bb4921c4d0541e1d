#include "kvtransfer/codec/profile/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "kvtransfer/codec/parts/signs.h"

namespace sluice::kv {
namespace {

/// Raised whenever the bytes of any class or of the segment around them change.
constexpr unsigned kPipelineVersion = 1;

std::string canonical(const ClassSpec& c) {
  return fmt::format("t{}q{}l{}s{:08x}h{:08x}a{}p{}g{}z{}c{}k{}", static_cast<int>(c.transform),
                     static_cast<int>(c.quantizer), c.levels, std::bit_cast<std::uint32_t>(c.step),
                     std::bit_cast<std::uint32_t>(c.shrink), static_cast<int>(c.axis), c.page, c.group,
                     static_cast<int>(c.scale), static_cast<int>(c.coder), c.calibrated ? 1 : 0);
}

}  // namespace

bool ProfileSpec::lossless() const noexcept {
  return !codec.empty() || std::ranges::all_of(classes, &ClassSpec::lossless);
}

bool ProfileSpec::calibrated() const noexcept { return std::ranges::any_of(classes, &ClassSpec::calibrated); }

std::string canonical(const ProfileSpec& p) {
  if (!p.codec.empty()) return fmt::format("{}/1", p.codec);
  std::string text =
      fmt::format("pipeline/{} signs/{} sinks{} tail{}", kPipelineVersion, kSignsVersion, p.sinks, p.tail);
  text += fmt::format(" K {} V {}", canonical(p.classes[p.key]), canonical(p.classes[p.value]));
  for (const ClassRule& r : p.rules)
    text += fmt::format(" R{}{}[{}][{}]{}", r.keys ? "k" : "", r.values ? "v" : "", fmt::join(r.layers, ","),
                        fmt::join(r.heads, ","), canonical(p.classes[r.use]));
  return text;
}

}  // namespace sluice::kv
