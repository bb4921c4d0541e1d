#include "kvtransfer/codec/kernels/book.h"

#include <bit>
#include <cmath>
#include <limits>
#include <span>

namespace sluice::kv {
namespace {

// Lloyd-Max magnitudes for a unit Gaussian (Max 1960).
constexpr std::array k4 = {.4528F, 1.5104F};
constexpr std::array k8 = {.2451F, .7560F, 1.3439F, 2.1519F};
constexpr std::array k16 = {.1284F, .3880F, .6568F, .9423F, 1.2562F, 1.6180F, 2.0690F, 2.7326F};

std::span<const float> magnitudes(std::uint32_t levels) {
  if (levels == 4) return k4;
  if (levels == 8) return k8;
  return k16;
}

Book empty_book(BookKind kind, std::uint32_t levels) {
  Book b;
  b.kind = kind;
  b.levels = levels;
  b.bits = static_cast<std::uint32_t>(std::bit_width(levels - 1));
  return b;
}

}  // namespace

Book lloyd_book(std::uint32_t levels) {
  Book b = empty_book(BookKind::lloyd, levels);
  const auto m = magnitudes(levels);
  b.midpoint.fill(std::numeric_limits<float>::infinity());
  for (std::size_t k = 0; k < m.size(); ++k) {
    b.value[k] = m[k];
    b.value[k + m.size()] = -m[k];
    b.mean[k] = static_cast<std::int16_t>(std::lround(256 * m[k]));
    if (k + 1 == m.size()) break;
    b.midpoint[k] = (m[k] + m[k + 1]) / 2;
    b.cut[k] = static_cast<std::uint8_t>(std::lround(64 * b.midpoint[k] + 0.5F));
  }
  return b;
}

Book uniform_book(std::uint32_t levels, float step, float shrink) {
  Book b = empty_book(BookKind::uniform, levels);
  b.inverse_step = 1.0F / step;
  const int middle = static_cast<int>(levels / 2);
  for (int s = 0; s < static_cast<int>(levels); ++s) {
    const int q = s - middle;
    const float magnitude = (static_cast<float>(q < 0 ? -q : q) - shrink) * step;
    b.value[static_cast<std::size_t>(s)] = q == 0 ? 0.0F : q < 0 ? -magnitude : magnitude;
  }
  return b;
}

}  // namespace sluice::kv
