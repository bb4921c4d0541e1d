#include "kvtransfer/codec/parts/quant.h"

#include <algorithm>
#include <cstring>

#include "kvtransfer/codec/parts/plane_coder.h"
#include "kvtransfer/codec/parts/scales.h"
#include "kvtransfer/codec/parts/signs.h"

namespace sluice::kv {
namespace {

struct Sizes {
  std::size_t scales = 0;  // bytes of the first plane
  std::size_t packed = 0;  // bytes of the symbols, packed
  [[nodiscard]] std::size_t codes_at() const noexcept { return align16(scales); }
};

class QuantPart final : public PartCodec {
 public:
  QuantPart(const ClassSpec& c, Isa isa, CalibrationPtr calibration)
      : c_(c), k_(kernels(isa)), coder_(make_plane_coder(c, isa)), calibration_(std::move(calibration)) {
    if (is_book()) book_ = make_book(c);
  }

  bool lossless() const noexcept override { return false; }

  bool supports(const PartShape& p) const noexcept override {
    if (is_book() || moves_rows())
      if (p.head_dim > kMaxBookHeadDim) return false;
    if (c_.bits() != 8 && p.head_dim % 8 != 0) return false;
    if (c_.group != 0 && p.head_dim % c_.group != 0) return false;
    if (c_.calibrated && !calibrates(p)) return false;
    return coder_ == nullptr || coder_->supports(p.width());
  }

  std::size_t max_bytes(const PartShape& p) const noexcept override {
    const Sizes z = sizes_of(p);
    return z.codes_at() + (coder_ ? coder_->max_bytes(p) : z.packed);
  }

  std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out, CodecScratch& scratch) const override {
    const Sizes z = sizes_of(p);
    draw_signs(p, scratch);
    const PartRowsIn from = moves_rows() ? moved(p, rows, scratch) : rows;
    std::fill(out + z.scales, out + z.codes_at(), std::byte{0});
    std::byte* codes = out + z.codes_at();
    if (coder_ == nullptr) {
      encode_packed(p, from, out, codes, scratch);
      return z.codes_at() + z.packed;
    }
    const auto writer = coder_->writer(p, codes, scratch);
    each_batch(p, [&](std::uint32_t first, std::uint32_t n) {
      scratch.symbols.resize(std::max(scratch.symbols.size(), n * p.width()));
      encode_symbols(p, from, first, n, out, scratch.symbols.data(), scratch);
      writer->rows({scratch.symbols.data(), n * p.width()});
    });
    return z.codes_at() + writer->finish();
  }

  Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows,
                  CodecScratch& scratch) const override {
    const Sizes z = sizes_of(p);
    if (in.size() < z.codes_at() || (coder_ == nullptr && in.size() != z.codes_at() + z.packed))
      return fail(Errc::data_corrupt, "a part of class '{}' with {} bytes, {} expected", c_.name, in.size(),
                  z.codes_at() + z.packed);
    if (!good_plane(p, in.first(z.scales)))
      return fail(Errc::data_corrupt, "a part of class '{}' with a scale that no encoder writes", c_.name);
    draw_signs(p, scratch);
    const std::byte* codes = in.data() + z.codes_at();
    if (coder_ == nullptr) {
      SLUICE_TRY(decode_packed(p, in.data(), codes, rows, scratch));
    } else {
      SLUICE_ASSIGN(const auto reader, coder_->reader(p, in.subspan(z.codes_at()), scratch));
      Result<> failed;
      each_batch(p, [&](std::uint32_t first, std::uint32_t n) {
        if (!failed) return;
        scratch.symbols.resize(std::max(scratch.symbols.size(), n * p.width()));
        failed = reader->rows({scratch.symbols.data(), n * p.width()});
        if (failed) decode_symbols(p, in.data(), first, n, scratch.symbols.data(), rows, scratch);
      });
      SLUICE_TRY(failed);
      SLUICE_TRY(reader->finish());
    }
    if (moves_rows()) move_back(p, rows, scratch);
    return {};
  }

 private:
  [[nodiscard]] bool is_book() const noexcept {
    return c_.quantizer == Quantizer::lloyd || c_.quantizer == Quantizer::uniform;
  }
  /// Something happens to the rows that the quantizer does not do itself.
  [[nodiscard]] bool moves_rows() const noexcept {
    return c_.calibrated || (!is_book() && c_.transform == Transform::hadamard);
  }
  /// Block of the transform that is done to the rows; 1: none.
  [[nodiscard]] std::uint32_t moving_block(const PartShape& p) const noexcept {
    return !is_book() && c_.transform == Transform::hadamard ? hadamard_block(p.head_dim) : 1;
  }
  [[nodiscard]] bool calibrates(const PartShape& p) const noexcept {
    return calibration_ != nullptr && p.layer < calibration_->layers && p.head_dim == calibration_->head_dim &&
           p.first_head < calibration_->kv_heads && p.heads <= calibration_->kv_heads - p.first_head;
  }
  /// A part's channels in one of the calibration's tables.
  [[nodiscard]] const float* channels(const std::array<std::vector<float>, 2>& table,
                                      const PartShape& p) const noexcept {
    return table[static_cast<std::size_t>(p.kind)].data() +
           (std::size_t{p.layer} * calibration_->kv_heads + p.first_head) * p.head_dim;
  }
  [[nodiscard]] bool by_channel() const noexcept { return c_.axis == Axis::channel; }
  [[nodiscard]] std::uint32_t group_of(const PartShape& p) const noexcept {
    return c_.group != 0 ? c_.group : p.head_dim;
  }
  [[nodiscard]] BookShape book_shape(const PartShape& p) const noexcept {
    const std::uint32_t block = c_.transform == Transform::hadamard ? hadamard_block(p.head_dim) : 1;
    return make_book_shape(p.heads, p.head_dim, block, c_.scale, book_);
  }

  /// Bytes of the scales of one row (token axis) or one page (channel axis).
  [[nodiscard]] std::size_t unit_bytes(const PartShape& p) const noexcept {
    if (is_book()) return scale_bytes(c_.scale) * p.heads;
    if (c_.quantizer != Quantizer::minmax) return 2 * (by_channel() ? p.width() : p.heads);
    return 4 * (by_channel() ? p.width() : p.width() / group_of(p));
  }
  [[nodiscard]] Sizes sizes_of(const PartShape& p) const noexcept {
    const std::size_t units = by_channel() ? pages_of(p.tokens, c_.page) : p.tokens;
    return {units * unit_bytes(p), p.values() * c_.bits() / 8};
  }

  /// Rows [first, first + n) of all of a part's. on_the_wire: they become what is sent, not what a coder reads next.
  static RowsIn rows_in(PartRowsIn rows, std::uint32_t first, std::uint32_t n, bool on_the_wire) noexcept {
    return {rows.data() + first, n, static_cast<std::uint32_t>(rows.size()) - first - n,
            on_the_wire && rows.size() >= kStreamRows};
  }
  RowsOut rows_out(PartRowsOut rows, std::uint32_t first, std::uint32_t n) const noexcept {
    // Rows that are transformed after this are read again soon.
    return {rows.data() + first, n, !moves_rows() && rows.size() >= kStreamRows};
  }

  /// Calls fn(page, first row, rows).
  template <class Fn>
  void each_page(const PartShape& p, Fn&& fn) const {
    const std::uint32_t n = pages_of(p.tokens, c_.page);
    for (std::uint32_t g = 0; g < n; ++g) {
      const std::uint32_t first = g * c_.page;
      fn(g, first, g + 1 == n ? p.tokens - first : c_.page);
    }
  }
  /// Calls fn(first row, rows) for what is quantized at a time in front of a coder.
  template <class Fn>
  void each_batch(const PartShape& p, Fn&& fn) const {
    if (by_channel()) return each_page(p, [&](std::uint32_t, std::uint32_t first, std::uint32_t n) { fn(first, n); });
    const auto most = static_cast<std::uint32_t>(std::max<std::size_t>(kBatchSymbols / p.width(), 1));
    for (std::uint32_t r = 0; r < p.tokens; r += most) fn(r, std::min(most, p.tokens - r));
  }

  void draw_signs(const PartShape& p, CodecScratch& scratch) const {
    if (c_.transform != Transform::hadamard) return;
    scratch.signs.resize(p.width());
    for (std::uint32_t h = 0; h < p.heads; ++h)
      fill_signs(p.layer, p.kind, p.first_head + h,
                 std::span(scratch.signs).subspan(std::size_t{h} * p.head_dim, p.head_dim));
  }

  /// The rows as they are quantized, in scratch.
  [[nodiscard]] PartRowsIn moved(const PartShape& p, PartRowsIn rows, CodecScratch& scratch) const {
    const std::size_t row_bytes = 2 * p.width();
    scratch.bytes.resize(std::max(scratch.bytes.size(), row_bytes * p.tokens));
    scratch.moved.clear();
    const float* shift = c_.calibrated ? channels(calibration_->shift, p) : nullptr;
    const float* inverse = c_.calibrated ? channels(calibration_->inverse, p) : nullptr;
    for (std::uint32_t r = 0; r < p.tokens; ++r) {
      std::byte* to = scratch.bytes.data() + r * row_bytes;
      k_.row_forward(rows[r], p.heads, p.head_dim, moving_block(p), scratch.signs.data(), shift, inverse, to);
      scratch.moved.push_back(to);
    }
    return scratch.moved;
  }
  void move_back(const PartShape& p, PartRowsOut rows, CodecScratch& scratch) const {
    const float* shift = c_.calibrated ? channels(calibration_->shift, p) : nullptr;
    const float* scale = c_.calibrated ? channels(calibration_->scale, p) : nullptr;
    for (std::byte* row : rows)
      k_.row_backward(row, p.heads, p.head_dim, moving_block(p), scratch.signs.data(), shift, scale);
  }

  void encode_packed(const PartShape& p, PartRowsIn rows, std::byte* scales, std::byte* codes,
                     CodecScratch& scratch) const {
    const std::size_t unit = unit_bytes(p), row = p.width() * c_.bits() / 8;
    if (c_.quantizer == Quantizer::minmax) {
      each_batch(p, [&](std::uint32_t first, std::uint32_t n) {
        scratch.symbols.resize(std::max(scratch.symbols.size(), n * p.width()));
        encode_symbols(p, rows, first, n, scales, scratch.symbols.data(), scratch);
        k_.pack(c_.bits(), std::size_t{n} * p.heads, p.head_dim, scratch.symbols.data(), codes + first * row);
      });
      return;
    }
    if (by_channel()) {
      each_page(p, [&](std::uint32_t g, std::uint32_t first, std::uint32_t n) {
        k_.absmax8_page_encode(rows_in(rows, first, n, true), static_cast<std::uint32_t>(p.width()), scales + g * unit,
                               codes + first * row);
      });
      return;
    }
    const RowsIn in = rows_in(rows, 0, p.tokens, true);
    if (is_book())
      k_.book_encode_packed(book_shape(p), scratch.signs.data(), in, scales, codes);
    else if (c_.quantizer == Quantizer::fp8)
      k_.fp8_encode(in, p.heads, p.head_dim, scales, codes);
    else if (c_.levels == 15)
      k_.absmax4_encode(in, p.heads, p.head_dim, scales, codes);
    else
      k_.absmax8_encode(in, p.heads, p.head_dim, scales, codes);
  }

  Result<> decode_packed(const PartShape& p, const std::byte* scales, const std::byte* codes, PartRowsOut rows,
                         CodecScratch& scratch) const {
    const std::size_t unit = unit_bytes(p), row = p.width() * c_.bits() / 8;
    if (c_.quantizer == Quantizer::minmax) {
      bool good = true;
      each_batch(p, [&](std::uint32_t first, std::uint32_t n) {
        scratch.symbols.resize(std::max(scratch.symbols.size(), n * p.width()));
        k_.unpack(c_.bits(), std::size_t{n} * p.heads, p.head_dim, codes + first * row, scratch.symbols.data());
        if (c_.levels < 1U << c_.bits()) {
          const std::span symbols(scratch.symbols.data(), n * p.width());
          good = good && *std::ranges::max_element(symbols) < c_.levels;
        }
        decode_symbols(p, scales, first, n, scratch.symbols.data(), rows, scratch);
      });
      if (!good) return fail(Errc::data_corrupt, "a part of class '{}' with a symbol beyond its levels", c_.name);
      return {};
    }
    if (by_channel()) {
      each_page(p, [&](std::uint32_t g, std::uint32_t first, std::uint32_t n) {
        k_.absmax8_page_decode(scales + g * unit, codes + first * row, static_cast<std::uint32_t>(p.width()),
                               rows_out(rows, first, n));
      });
      return {};
    }
    const RowsOut out = rows_out(rows, 0, p.tokens);
    if (is_book())
      k_.book_decode_packed(book_shape(p), scratch.signs.data(), scales, codes, out);
    else if (c_.quantizer == Quantizer::fp8)
      k_.fp8_decode(scales, codes, p.heads, p.head_dim, out);
    else if (c_.levels == 15)
      k_.absmax4_decode(scales, codes, p.heads, p.head_dim, out);
    else
      k_.absmax8_decode(scales, codes, p.heads, p.head_dim, out);
    return {};
  }

  /// Rows [first, first + n): a batch of each_batch().
  void encode_symbols(const PartShape& p, PartRowsIn rows, std::uint32_t first, std::uint32_t n, std::byte* scales,
                      std::uint8_t* symbols, CodecScratch& scratch) const {
    const auto width = static_cast<std::uint32_t>(p.width());
    const std::size_t unit = unit_bytes(p);
    const RowsIn in = rows_in(rows, first, n, false);
    auto* bytes = reinterpret_cast<std::byte*>(symbols);
    if (by_channel()) {
      std::byte* at = scales + first / c_.page * unit;
      if (c_.quantizer == Quantizer::minmax)
        k_.minmax_page_encode(in, width, c_.levels, at, symbols);
      else
        k_.absmax8_page_encode(in, width, at, bytes);
      return;
    }
    std::byte* at = scales + first * unit;
    if (is_book())
      k_.book_encode(book_shape(p), scratch.signs.data(), in, at, symbols);
    else if (c_.quantizer == Quantizer::minmax)
      k_.minmax_encode(in, width / group_of(p), group_of(p), c_.levels, at, symbols);
    else if (c_.quantizer == Quantizer::fp8)
      k_.fp8_encode(in, p.heads, p.head_dim, at, bytes);
    else
      k_.absmax8_encode(in, p.heads, p.head_dim, at, bytes);
  }

  void decode_symbols(const PartShape& p, const std::byte* scales, std::uint32_t first, std::uint32_t n,
                      const std::uint8_t* symbols, PartRowsOut rows, CodecScratch& scratch) const {
    const auto width = static_cast<std::uint32_t>(p.width());
    const std::size_t unit = unit_bytes(p);
    const RowsOut out = rows_out(rows, first, n);
    const auto* bytes = reinterpret_cast<const std::byte*>(symbols);
    if (by_channel()) {
      const std::byte* at = scales + first / c_.page * unit;
      if (c_.quantizer == Quantizer::minmax)
        k_.minmax_page_decode(at, symbols, width, out);
      else
        k_.absmax8_page_decode(at, bytes, width, out);
      return;
    }
    const std::byte* at = scales + first * unit;
    if (is_book())
      k_.book_decode(book_shape(p), scratch.signs.data(), at, symbols, out);
    else if (c_.quantizer == Quantizer::minmax)
      k_.minmax_decode(at, symbols, width / group_of(p), group_of(p), out);
    else if (c_.quantizer == Quantizer::fp8)
      k_.fp8_decode(at, bytes, p.heads, p.head_dim, out);
    else
      k_.absmax8_decode(at, bytes, p.heads, p.head_dim, out);
  }

  /// Every scale is one that an encoder writes: then no decoded value is NaN and no sum overflows.
  [[nodiscard]] bool good_plane(const PartShape& p, std::span<const std::byte> plane) const noexcept {
    if (is_book())
      return c_.scale == Scale::log8 || good_scales(plane, book_max_scale(book_.kind, book_shape(p).block));
    if (c_.quantizer != Quantizer::minmax) return good_scales(plane, kAbsmaxMaxScale);
    const std::size_t unit = unit_bytes(p);
    bool good = true;
    for (std::size_t at = 0; at < plane.size(); at += unit) {
      good = good && good_scales(plane.subspan(at, unit / 2), kMinmaxMaxScale);
      for (std::size_t i = unit / 2; i < unit; i += 2)
        good = good && (load_le<std::uint16_t>(plane.data() + at + i) & kBf16Abs) <= kMinmaxMaxLow;
    }
    return good;
  }

  ClassSpec c_;
  const Kernels& k_;
  std::unique_ptr<PlaneCoder> coder_;  // null: packed in place
  CalibrationPtr calibration_;
  Book book_;
};

}  // namespace

Book make_book(const ClassSpec& c) {
  return c.quantizer == Quantizer::lloyd ? lloyd_book(c.levels) : uniform_book(c.levels, c.step, c.shrink);
}

std::unique_ptr<PartCodec> make_quant_part(const ClassSpec& c, Isa isa, CalibrationPtr calibration) {
  return std::make_unique<QuantPart>(c, isa, std::move(calibration));
}

}  // namespace sluice::kv
