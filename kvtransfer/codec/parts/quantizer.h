#pragma once
// Quantizers: rows to scales and symbols, and back. The middle of a lossy part (quant.h), which makes its own once and
// then hands it many rows at a time; the loops over values are kernels. One file per kind in quantizers/, and the table
// in quantizer.cpp that knows them all.
//
// Threading: immutable. Failure: none; whoever decodes has asked good_scales() before, and symbols out of the alphabet
// give some value, never a read or write out of bounds.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/kernels/rans_table.h"
#include "kvtransfer/codec/parts/class_spec.h"
#include "kvtransfer/codec/parts/part.h"

namespace sluice::kv {

/// What symbols can be, for those who code them.
struct Alphabet {
  std::uint32_t symbols = 0;         // each is less, as a byte
  std::uint32_t bits = 0;            // of each, packed
  const RansTable* table = nullptr;  // how frequent they are, where that is known; null: to be measured
};

class Quantizer {
 public:
  virtual ~Quantizer() = default;
  [[nodiscard]] virtual Alphabet alphabet() const noexcept = 0;
  /// Whether it does the class's transform itself, with the signs it is given; else rows come transformed.
  [[nodiscard]] virtual bool transforms() const noexcept = 0;
  /// Whether it writes symbols as they are packed, alphabet().bits of each; else a byte of each. 8 bits are both.
  [[nodiscard]] virtual bool packs() const noexcept = 0;
  [[nodiscard]] virtual bool supports(const PartShape& p) const noexcept = 0;
  /// Bytes of the scales of a unit: of one row, or of one page where the class's axis is the channel.
  [[nodiscard]] virtual std::size_t unit_bytes(const PartShape& p) const noexcept = 0;
  /// Every scale of these whole units is one that an encoder writes: then no decoded value is NaN and no sum overflows.
  [[nodiscard]] virtual bool good_scales(const PartShape& p, std::span<const std::byte> units) const noexcept = 0;
  /// Some rows of a part; exactly those of a page where the axis is the channel. signs: [heads, head_dim] for those
  /// that transform. scales and symbols are those of these rows.
  virtual void encode(const PartShape& p, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                      std::byte* symbols) const = 0;
  virtual void decode(const PartShape& p, const std::uint16_t* signs, const std::byte* scales, const std::byte* symbols,
                      RowsOut rows) const = 0;
};

/// Null where c.quantizer is none.
[[nodiscard]] std::unique_ptr<Quantizer> make_quantizer(const ClassSpec& c, const Kernels& k);

/// The book of a class whose quantizer is lloyd or uniform.
[[nodiscard]] Book make_book(const ClassSpec& c);

}  // namespace sluice::kv
