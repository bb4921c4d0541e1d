// lloyd and uniform: symbols of a book under the norm of each head's vector, which they transform themselves.
#include "kvtransfer/codec/parts/quantizers/makers.h"
#include "kvtransfer/codec/parts/scales.h"
#include "kvtransfer/codec/parts/transform.h"

namespace sluice::kv {
namespace {

class ByBook final : public Quantizer {
 public:
  ByBook(const ClassSpec& c, const Kernels& k, const RansTable* table)
      : k_(k),
        book_(make_book(c)),
        table_(table),
        scale_(c.scale),
        rotates_(c.transform == Transform::hadamard),
        packs_(c.coder == Coder::pack) {}
  Alphabet alphabet() const noexcept override { return {.symbols = book_.levels, .bits = book_.bits, .table = table_}; }
  bool transforms() const noexcept override { return true; }
  bool packs() const noexcept override { return packs_; }
  bool supports(const PartShape& p) const noexcept override { return p.head_dim <= kMaxBookHeadDim; }
  std::size_t unit_bytes(const PartShape& p) const noexcept override { return scale_bytes(scale_) * p.heads; }
  bool good_scales(const PartShape& p, std::span<const std::byte> units) const noexcept override {
    return scale_ == Scale::log8 || all_good_scales(units, book_max_scale(book_.kind, block(p)));
  }
  void encode(const PartShape& p, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
              std::byte* symbols) const override {
    if (packs_)
      k_.book_encode_packed(shape(p), signs, rows, scales, symbols);
    else
      k_.book_encode(shape(p), signs, rows, scales, reinterpret_cast<std::uint8_t*>(symbols));
  }
  void decode(const PartShape& p, const std::uint16_t* signs, const std::byte* scales, const std::byte* symbols,
              RowsOut rows) const override {
    if (packs_)
      k_.book_decode_packed(shape(p), signs, scales, symbols, rows);
    else
      k_.book_decode(shape(p), signs, scales, reinterpret_cast<const std::uint8_t*>(symbols), rows);
  }

 private:
  [[nodiscard]] std::uint32_t block(const PartShape& p) const noexcept {
    return rotates_ ? hadamard_block(p.head_dim) : 1;
  }
  [[nodiscard]] BookShape shape(const PartShape& p) const noexcept {
    return make_book_shape(p.heads, p.head_dim, block(p), scale_, book_);
  }

  const Kernels& k_;
  Book book_;
  const RansTable* table_;
  Scale scale_;
  bool rotates_, packs_;
};

}  // namespace

Book make_book(const ClassSpec& c) {
  return c.quantizer == QuantizerKind::lloyd ? lloyd_book(c.levels) : uniform_book(c.levels, c.step, c.shrink);
}

std::unique_ptr<Quantizer> make_lloyd(const ClassSpec& c, const Kernels& k) {
  return std::make_unique<ByBook>(c, k, &lloyd_table(c.bits()));
}

std::unique_ptr<Quantizer> make_uniform(const ClassSpec& c, const Kernels& k) {
  return std::make_unique<ByBook>(c, k, nullptr);
}

}  // namespace sluice::kv
