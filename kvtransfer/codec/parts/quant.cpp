#include "kvtransfer/codec/parts/quant.h"

#include <algorithm>

#include "kvtransfer/codec/parts/plane_coder.h"
#include "kvtransfer/codec/parts/quantizer.h"
#include "kvtransfer/codec/parts/transform.h"

namespace sluice::kv {
namespace {

struct Sizes {
  std::size_t scales = 0;  // bytes of the first plane
  std::size_t packed = 0;  // bytes of the symbols, packed
  [[nodiscard]] std::size_t codes_at() const noexcept { return align16(scales); }
};

/// Rows [first, first + n) of a part.
struct Batch {
  std::uint32_t first = 0, n = 0;
};

class QuantPart final : public PartCodec {
 public:
  QuantPart(const ClassSpec& c, Isa isa, CalibrationPtr calibration)
      : c_(c),
        k_(kernels(isa)),
        quantizer_(make_quantizer(c, k_)),
        alphabet_(quantizer_->alphabet()),
        transform_(c, quantizer_->transforms(), k_, std::move(calibration)),
        coder_(make_plane_coder(c.coder, alphabet_, isa)) {}

  bool lossless() const noexcept override { return false; }

  bool supports(const PartShape& p) const noexcept override {
    if (alphabet_.bits != 8 && p.head_dim % 8 != 0) return false;
    if (!quantizer_->supports(p) || !transform_.supports(p)) return false;
    return coder_ == nullptr || coder_->supports(p.width());
  }

  std::size_t max_bytes(const PartShape& p) const noexcept override {
    const Sizes z = sizes_of(p);
    return z.codes_at() + (coder_ ? coder_->max_bytes(p) : z.packed);
  }

  std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out, CodecScratch& scratch) const override {
    const Sizes z = sizes_of(p);
    if (rotated()) draw_signs(p, scratch);
    const PartRowsIn from = transform_.identity() ? rows : transform_.forward(p, rows, scratch);
    std::fill(out + z.scales, out + z.codes_at(), std::byte{0});
    std::byte* codes = out + z.codes_at();
    if (coder_ == nullptr) {
      if (quantizer_->packs())
        encode_packed(p, from, out, codes, scratch);
      else
        encode_and_pack(p, from, out, codes, scratch);
      return z.codes_at() + z.packed;
    }
    const auto writer = coder_->writer(p, codes, scratch);
    each_batch(p, [&](Batch b) {
      encode_symbols(p, from, b, out, scratch);
      writer->rows(symbols_of(p, b, scratch));
    });
    return z.codes_at() + writer->finish();
  }

  Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows,
                  CodecScratch& scratch) const override {
    const Sizes z = sizes_of(p);
    if (in.size() < z.codes_at() || (coder_ == nullptr && in.size() != z.codes_at() + z.packed))
      return fail(Errc::data_corrupt, "a part of class '{}' with {} bytes, {} expected", c_.name, in.size(),
                  z.codes_at() + z.packed);
    if (!quantizer_->good_scales(p, in.first(z.scales)))
      return fail(Errc::data_corrupt, "a part of class '{}' with a scale that no encoder writes", c_.name);
    if (rotated()) draw_signs(p, scratch);
    const std::span<const std::byte> codes = in.subspan(z.codes_at());
    if (coder_ != nullptr)
      SLUICE_TRY(decode_coded(p, in.data(), codes, rows, scratch));
    else if (quantizer_->packs())
      decode_packed(p, in.data(), codes.data(), rows, scratch);
    else
      SLUICE_TRY(unpack_and_decode(p, in.data(), codes.data(), rows, scratch));
    if (!transform_.identity()) transform_.backward(p, rows, scratch);
    return {};
  }

 private:
  [[nodiscard]] bool rotated() const noexcept { return c_.transform == Transform::hadamard; }
  [[nodiscard]] bool by_channel() const noexcept { return c_.axis == Axis::channel; }
  [[nodiscard]] Sizes sizes_of(const PartShape& p) const noexcept {
    const std::size_t units = by_channel() ? pages_of(p.tokens, c_.page) : p.tokens;
    return {units * quantizer_->unit_bytes(p), packed_bytes(p, p.tokens)};
  }
  /// Of so many rows' symbols.
  [[nodiscard]] std::size_t packed_bytes(const PartShape& p, std::uint32_t rows) const noexcept {
    return p.width() * rows * alphabet_.bits / 8;
  }
  /// Where a batch's scales begin in their plane.
  [[nodiscard]] std::size_t scales_at(const PartShape& p, Batch b) const noexcept {
    return (by_channel() ? b.first / c_.page : b.first) * quantizer_->unit_bytes(p);
  }

  /// on_the_wire: they become what is sent, not what a coder reads next.
  static RowsIn rows_in(PartRowsIn rows, Batch b, bool on_the_wire) noexcept {
    return {rows.data() + b.first, b.n, static_cast<std::uint32_t>(rows.size()) - b.first - b.n,
            on_the_wire && rows.size() >= kStreamRows};
  }
  RowsOut rows_out(PartRowsOut rows, Batch b) const noexcept {
    // Rows that are transformed after this are read again soon.
    return {rows.data() + b.first, b.n, transform_.identity() && rows.size() >= kStreamRows};
  }

  /// Calls fn(Batch) for each page, or for each `most` rows where scales are of tokens.
  template <class Fn>
  void each(const PartShape& p, std::uint32_t most, Fn&& fn) const {
    if (by_channel()) {
      const std::uint32_t pages = pages_of(p.tokens, c_.page);
      for (std::uint32_t g = 0; g < pages; ++g) {
        const std::uint32_t first = g * c_.page;
        fn(Batch{first, g + 1 == pages ? p.tokens - first : c_.page});
      }
    } else {
      for (std::uint32_t r = 0; r < p.tokens; r += most) fn(Batch{r, std::min(most, p.tokens - r)});
    }
  }
  /// What goes through scratch.symbols at a time.
  template <class Fn>
  void each_batch(const PartShape& p, Fn&& fn) const {
    each(p, static_cast<std::uint32_t>(std::max<std::size_t>(kBatchSymbols / p.width(), 1)), fn);
  }
  static std::span<std::uint8_t> symbols_of(const PartShape& p, Batch b, CodecScratch& scratch) {
    const std::size_t n = b.n * p.width();
    scratch.symbols.resize(std::max(scratch.symbols.size(), n));
    return {scratch.symbols.data(), n};
  }

  /// A batch's symbols, a byte each, to scratch.
  void encode_symbols(const PartShape& p, PartRowsIn rows, Batch b, std::byte* scales, CodecScratch& scratch) const {
    quantizer_->encode(p, scratch.signs.data(), rows_in(rows, b, false), scales + scales_at(p, b),
                       reinterpret_cast<std::byte*>(symbols_of(p, b, scratch).data()));
  }
  void decode_symbols(const PartShape& p, const std::byte* scales, Batch b, PartRowsOut rows,
                      CodecScratch& scratch) const {
    quantizer_->decode(p, scratch.signs.data(), scales + scales_at(p, b),
                       reinterpret_cast<const std::byte*>(scratch.symbols.data()), rows_out(rows, b));
  }

  void encode_packed(const PartShape& p, PartRowsIn rows, std::byte* scales, std::byte* codes,
                     CodecScratch& scratch) const {
    each(p, p.tokens, [&](Batch b) {
      quantizer_->encode(p, scratch.signs.data(), rows_in(rows, b, true), scales + scales_at(p, b),
                         codes + packed_bytes(p, b.first));
    });
  }
  void decode_packed(const PartShape& p, const std::byte* scales, const std::byte* codes, PartRowsOut rows,
                     CodecScratch& scratch) const {
    each(p, p.tokens, [&](Batch b) {
      quantizer_->decode(p, scratch.signs.data(), scales + scales_at(p, b), codes + packed_bytes(p, b.first),
                         rows_out(rows, b));
    });
  }

  void encode_and_pack(const PartShape& p, PartRowsIn rows, std::byte* scales, std::byte* codes,
                       CodecScratch& scratch) const {
    each_batch(p, [&](Batch b) {
      encode_symbols(p, rows, b, scales, scratch);
      k_.pack(alphabet_.bits, std::size_t{b.n} * p.heads, p.head_dim, scratch.symbols.data(),
              codes + packed_bytes(p, b.first));
    });
  }
  Result<> unpack_and_decode(const PartShape& p, const std::byte* scales, const std::byte* codes, PartRowsOut rows,
                             CodecScratch& scratch) const {
    bool good = true;
    each_batch(p, [&](Batch b) {
      const auto symbols = symbols_of(p, b, scratch);
      k_.unpack(alphabet_.bits, std::size_t{b.n} * p.heads, p.head_dim, codes + packed_bytes(p, b.first),
                symbols.data());
      if (alphabet_.symbols < 1U << alphabet_.bits)
        good = good && *std::ranges::max_element(symbols) < alphabet_.symbols;
      decode_symbols(p, scales, b, rows, scratch);
    });
    if (!good) return fail(Errc::data_corrupt, "a part of class '{}' with a symbol beyond its levels", c_.name);
    return {};
  }

  Result<> decode_coded(const PartShape& p, const std::byte* scales, std::span<const std::byte> codes, PartRowsOut rows,
                        CodecScratch& scratch) const {
    SLUICE_ASSIGN(const auto reader, coder_->reader(p, codes, scratch));
    Result<> read;
    each_batch(p, [&](Batch b) {
      if (!read) return;
      read = reader->rows(symbols_of(p, b, scratch));
      if (read) decode_symbols(p, scales, b, rows, scratch);
    });
    SLUICE_TRY(read);
    return reader->finish();
  }

  ClassSpec c_;
  const Kernels& k_;
  std::unique_ptr<Quantizer> quantizer_;
  Alphabet alphabet_;
  RowTransform transform_;
  std::unique_ptr<PlaneCoder> coder_;  // null: packed in place
};

}  // namespace

std::unique_ptr<PartCodec> make_quant_part(const ClassSpec& c, Isa isa, CalibrationPtr calibration) {
  return std::make_unique<QuantPart>(c, isa, std::move(calibration));
}

}  // namespace sluice::kv
