// absmax and fp8: symbols under the largest magnitude of those that share a scale.
#include "kvtransfer/codec/parts/quantizers/makers.h"
#include "kvtransfer/codec/parts/scales.h"

namespace sluice::kv {
namespace {

using EncodeRows = decltype(Kernels::absmax8_encode);
using DecodeRows = decltype(Kernels::absmax8_decode);

/// A scale for each token and head.
class ByToken final : public Quantizer {
 public:
  ByToken(Alphabet alphabet, EncodeRows encode, DecodeRows decode)
      : alphabet_(alphabet), encode_(encode), decode_(decode) {}
  Alphabet alphabet() const noexcept override { return alphabet_; }
  bool transforms() const noexcept override { return false; }
  bool packs() const noexcept override { return true; }
  bool supports(const PartShape&) const noexcept override { return true; }
  std::size_t unit_bytes(const PartShape& p) const noexcept override { return std::size_t{2} * p.heads; }
  bool good_scales(const PartShape&, std::span<const std::byte> units) const noexcept override {
    return all_good_scales(units, kAbsmaxMaxScale);
  }
  void encode(const PartShape& p, const std::uint16_t*, RowsIn rows, std::byte* scales,
              std::byte* symbols) const override {
    encode_(rows, p.heads, p.head_dim, scales, symbols);
  }
  void decode(const PartShape& p, const std::uint16_t*, const std::byte* scales, const std::byte* symbols,
              RowsOut rows) const override {
    decode_(scales, symbols, p.heads, p.head_dim, rows);
  }

 private:
  Alphabet alphabet_;
  EncodeRows encode_;
  DecodeRows decode_;
};

/// 8 bits, a scale for each channel of a page.
class ByChannel final : public Quantizer {
 public:
  explicit ByChannel(const Kernels& k) : k_(k) {}
  Alphabet alphabet() const noexcept override { return {.symbols = 256, .bits = 8}; }
  bool transforms() const noexcept override { return false; }
  bool packs() const noexcept override { return true; }
  bool supports(const PartShape&) const noexcept override { return true; }
  std::size_t unit_bytes(const PartShape& p) const noexcept override { return 2 * p.width(); }
  bool good_scales(const PartShape&, std::span<const std::byte> units) const noexcept override {
    return all_good_scales(units, kAbsmaxMaxScale);
  }
  void encode(const PartShape& p, const std::uint16_t*, RowsIn rows, std::byte* scales,
              std::byte* symbols) const override {
    k_.absmax8_page_encode(rows, static_cast<std::uint32_t>(p.width()), scales, symbols);
  }
  void decode(const PartShape& p, const std::uint16_t*, const std::byte* scales, const std::byte* symbols,
              RowsOut rows) const override {
    k_.absmax8_page_decode(scales, symbols, static_cast<std::uint32_t>(p.width()), rows);
  }

 private:
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<Quantizer> make_absmax(const ClassSpec& c, const Kernels& k) {
  if (c.axis == Axis::channel) return std::make_unique<ByChannel>(k);
  if (c.levels == 15)
    return std::make_unique<ByToken>(Alphabet{.symbols = 16, .bits = 4}, k.absmax4_encode, k.absmax4_decode);
  return std::make_unique<ByToken>(Alphabet{.symbols = 256, .bits = 8}, k.absmax8_encode, k.absmax8_decode);
}

std::unique_ptr<Quantizer> make_fp8(const ClassSpec&, const Kernels& k) {
  return std::make_unique<ByToken>(Alphabet{.symbols = 256, .bits = 8}, k.fp8_encode, k.fp8_decode);
}

}  // namespace sluice::kv
