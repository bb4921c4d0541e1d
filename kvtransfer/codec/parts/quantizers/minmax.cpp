// minmax: levels from the smallest to the largest of those that share a scale. The scales of a unit, then its lows.
#include "kvtransfer/codec/parts/quantizers/makers.h"
#include "kvtransfer/codec/parts/scales.h"

namespace sluice::kv {
namespace {

/// What both axes have in common.
class Minmax : public Quantizer {
 public:
  Minmax(const ClassSpec& c, const Kernels& k) : k_(k), levels_(c.levels), bits_(c.bits()) {}
  Alphabet alphabet() const noexcept final { return {.symbols = levels_, .bits = bits_}; }
  bool transforms() const noexcept final { return false; }
  bool packs() const noexcept final { return false; }
  bool good_scales(const PartShape& p, std::span<const std::byte> units) const noexcept final {
    const std::size_t unit = unit_bytes(p);
    bool good = true;
    for (std::size_t at = 0; at < units.size(); at += unit) {
      good = good && all_good_scales(units.subspan(at, unit / 2), kMinmaxMaxScale);
      for (std::size_t i = unit / 2; i < unit; i += 2)
        good = good && (load_le<std::uint16_t>(units.data() + at + i) & kBf16Abs) <= kMinmaxMaxLow;
    }
    return good;
  }

 protected:
  const Kernels& k_;
  const std::uint32_t levels_, bits_;
};

/// Each group of values of a token's head, or each whole head.
class ByToken final : public Minmax {
 public:
  ByToken(const ClassSpec& c, const Kernels& k) : Minmax(c, k), group_(c.group) {}
  bool supports(const PartShape& p) const noexcept override { return p.head_dim % group(p) == 0; }
  std::size_t unit_bytes(const PartShape& p) const noexcept override { return std::size_t{4} * groups(p); }
  void encode(const PartShape& p, const std::uint16_t*, RowsIn rows, std::byte* scales,
              std::byte* symbols) const override {
    k_.minmax_encode(rows, groups(p), group(p), levels_, scales, reinterpret_cast<std::uint8_t*>(symbols));
  }
  void decode(const PartShape& p, const std::uint16_t*, const std::byte* scales, const std::byte* symbols,
              RowsOut rows) const override {
    k_.minmax_decode(scales, reinterpret_cast<const std::uint8_t*>(symbols), groups(p), group(p), rows);
  }

 private:
  [[nodiscard]] std::uint32_t group(const PartShape& p) const noexcept { return group_ != 0 ? group_ : p.head_dim; }
  [[nodiscard]] std::uint32_t groups(const PartShape& p) const noexcept {
    return static_cast<std::uint32_t>(p.width()) / group(p);
  }
  std::uint32_t group_;
};

/// Each channel of a page.
class ByChannel final : public Minmax {
 public:
  using Minmax::Minmax;
  bool supports(const PartShape&) const noexcept override { return true; }
  std::size_t unit_bytes(const PartShape& p) const noexcept override { return 4 * p.width(); }
  void encode(const PartShape& p, const std::uint16_t*, RowsIn rows, std::byte* scales,
              std::byte* symbols) const override {
    k_.minmax_page_encode(rows, static_cast<std::uint32_t>(p.width()), levels_, scales,
                          reinterpret_cast<std::uint8_t*>(symbols));
  }
  void decode(const PartShape& p, const std::uint16_t*, const std::byte* scales, const std::byte* symbols,
              RowsOut rows) const override {
    k_.minmax_page_decode(scales, reinterpret_cast<const std::uint8_t*>(symbols), static_cast<std::uint32_t>(p.width()),
                          rows);
  }
};

}  // namespace

std::unique_ptr<Quantizer> make_minmax(const ClassSpec& c, const Kernels& k) {
  if (c.axis == Axis::channel) return std::make_unique<ByChannel>(c, k);
  return std::make_unique<ByToken>(c, k);
}

}  // namespace sluice::kv
