#include "kvtransfer/codec/parts/lossless.h"

#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/exponents.h"
#include "kvtransfer/codec/kernels/prefetch.h"

namespace sluice::kv {
namespace {

// Block of n values: n/2 bytes of nibbles, n bytes of sign and mantissa, escapes; or, stored, the 2 n bytes of the
// rows. The directory in front has 4 bytes for each: u16 escapes (or kStored), u8 base, u8 0.
constexpr std::size_t kBlockValues = 8192, kEntryBytes = 4;
constexpr std::uint16_t kStored = 0xffff;
constexpr std::uint8_t kMaxBase = 255 - 14;

/// A block: whole rows, or a piece of one row where a row is longer than a block.
struct Block {
  std::uint32_t row = 0, rows = 0;
  std::size_t column = 0, width = 0;  // in values
  [[nodiscard]] std::size_t values() const { return rows * width; }
};

/// How a part is cut; follows from its shape.
struct Cut {
  std::uint32_t tokens, rows;  // rows of a block
  std::size_t width, pieces;   // of a row
  explicit Cut(const PartShape& p)
      : tokens(p.tokens),
        rows(static_cast<std::uint32_t>(std::max<std::size_t>(1, kBlockValues / p.width()))),
        width(p.width()),
        pieces((p.width() + kBlockValues - 1) / kBlockValues) {}
  [[nodiscard]] std::size_t blocks() const { return (tokens + std::size_t{rows} - 1) / rows * pieces; }
  /// No rows beyond the last.
  [[nodiscard]] Block block(std::size_t i) const {
    if (i >= blocks()) return {};
    const auto row = static_cast<std::uint32_t>(i / pieces * rows);
    const std::size_t column = i % pieces * kBlockValues;
    return {row, std::min(rows, tokens - row), column, std::min(kBlockValues, width - column)};
  }
};

std::size_t coded_bytes(std::size_t values, std::size_t escapes) { return values / 2 + values + escapes; }

/// Copies to memory, past the caches, what grows in the cache: whole lines as they come, what is left in the end.
class Drain {
 public:
  Drain(const ExponentKernels& k, std::byte* to, const std::byte* from, bool stream)
      : k_(k), to_(to), from_(from), head_(-reinterpret_cast<std::uintptr_t>(to) % kStreamLine), stream_(stream) {}
  /// The first n bytes are there.
  void upto(std::size_t n) {
    if (!stream_ || n < head_ + kStreamLine) return;
    if (done_ == 0) copy(head_);
    const std::size_t lines = (n - done_) / kStreamLine;
    k_.stream_lines(to_ + done_, from_ + done_, lines);
    done_ += lines * kStreamLine;
  }
  /// These are all.
  void finish(std::size_t n) { copy(n); }

 private:
  void copy(std::size_t n) {
    std::memcpy(to_ + done_, from_ + done_, n - done_);
    done_ = n;
  }
  const ExponentKernels& k_;
  std::byte* to_;
  const std::byte* from_;
  std::size_t head_, done_ = 0;
  bool stream_;
};

class Split4 final : public PartCodec {
 public:
  explicit Split4(const ExponentKernels& k) : k_(k) {}
  bool lossless() const noexcept override { return true; }
  bool supports(const PartShape& p) const noexcept override { return p.values() > 0 && p.head_dim % 2 == 0; }
  std::size_t max_bytes(const PartShape& p) const noexcept override {
    return kEntryBytes * Cut(p).blocks() + 2 * p.values();
  }

  std::size_t encode(const PartShape& p, PartRowsIn rows, std::byte* out, CodecScratch&) const override {
    const Cut cut(p);
    std::byte* at = out + kEntryBytes * cut.blocks();
    for (std::size_t i = 0; i < cut.blocks(); ++i)
      at += encode_block(cut.block(i), cut.block(i + 1), rows, out + kEntryBytes * i, at);
    if (streams(rows)) k_.settle();
    return static_cast<std::size_t>(at - out);
  }

  Result<> decode(const PartShape& p, std::span<const std::byte> in, PartRowsOut rows, CodecScratch&) const override {
    const Cut cut(p);
    SLUICE_TRY(check_directory(cut, in));
    const std::byte* at = in.data() + kEntryBytes * cut.blocks();
    for (std::size_t i = 0; i < cut.blocks(); ++i) {
      const Block b = cut.block(i);
      const std::byte* entry = in.data() + kEntryBytes * i;
      const auto escapes = load_le<std::uint16_t>(entry);
      if (escapes == kStored) {
        for (std::uint32_t r = 0; r < b.rows; ++r, at += 2 * b.width)
          std::memcpy(rows[b.row + r] + 2 * b.column, at, 2 * b.width);
      } else {
        if (!decode_block(b, at, static_cast<std::uint8_t>(entry[2]), escapes, rows))
          return fail(Errc::data_corrupt, "split4 block {} does not have its {} escapes", i, escapes);
        at += coded_bytes(b.values(), escapes);
      }
    }
    if (streams(rows)) k_.settle();
    return {};
  }

 private:
  /// Enough that nobody finds it in the caches later.
  static bool streams(auto rows) noexcept { return rows.size() >= kStreamRows; }

  std::size_t encode_block(const Block& b, const Block& next, PartRowsIn rows, std::byte* entry, std::byte* out) const {
    std::uint8_t top = 0;
    for (std::uint32_t r = 0; r < b.rows; ++r) {
      ask_translation(row_after(rows, b.row + r) + 2 * b.column);
      top = std::max(top, k_.exponent_largest(rows[b.row + r] + 2 * b.column, b.width));
    }
    const auto base = static_cast<std::uint8_t>(std::max(0, top - 14));

    // Made in cache and copied from there, row by row, so that memory always has both to read and to write: three
    // streams at a time straight to memory are slower, and so are long runs of one kind.
    alignas(64) std::byte coded[kBlockValues * 3 / 2];
    std::byte escapes[kBlockValues + kCoderSlack];
    std::size_t count = 0;
    std::byte *nibbles = coded, *rest = coded + b.values() / 2;
    Drain first(k_, out, nibbles, streams(rows)), second(k_, out + b.values() / 2, rest, streams(rows));
    for (std::uint32_t r = 0; r < b.rows; ++r) {
      if (r < next.rows) prefetch(rows[next.row + r] + 2 * next.column, 2 * next.width);
      count += k_.split_encode(rows[b.row + r] + 2 * b.column, b.width, base, nibbles + r * b.width / 2,
                               rest + r * b.width, escapes + count);
      first.upto((r + 1) * b.width / 2);
      second.upto((r + 1) * b.width);
    }
    const bool shrunk = coded_bytes(b.values(), count) < 2 * b.values();
    store_le(entry, shrunk ? static_cast<std::uint16_t>(count) : kStored);
    entry[2] = static_cast<std::byte>(shrunk ? base : 0);
    entry[3] = std::byte{0};
    if (shrunk) {
      first.finish(b.values() / 2);
      second.finish(b.values());
      std::memcpy(out + coded_bytes(b.values(), 0), escapes, count);
      return coded_bytes(b.values(), count);
    }
    for (std::uint32_t r = 0; r < b.rows; ++r, out += 2 * b.width)
      std::memcpy(out, rows[b.row + r] + 2 * b.column, 2 * b.width);
    return 2 * b.values();
  }

  bool decode_block(const Block& b, const std::byte* in, std::uint8_t base, std::size_t left, PartRowsOut rows) const {
    const std::byte *nibbles = in, *rest = in + b.values() / 2, *escapes = rest + b.values();
    const std::byte* ahead = escapes + left;  // the next block, as a rule as long as this one
    for (std::uint32_t r = 0; r < b.rows;
         ++r, nibbles += b.width / 2, rest += b.width, ahead += coded_bytes(b.width, 0)) {
      prefetch(ahead, coded_bytes(b.width, 0));
      ask_translation(row_after(rows, b.row + r) + 2 * b.column);
      const std::size_t used =
          k_.split_decode(nibbles, rest, b.width, base, escapes, left, rows[b.row + r] + 2 * b.column, streams(rows));
      if (used > left) return false;
      escapes += used;
      left -= used;
    }
    return left == 0;
  }

  /// Every block has a length that an encoder gives it, and they fill `in`.
  static Result<> check_directory(const Cut& cut, std::span<const std::byte> in) {
    if (in.size() < kEntryBytes * cut.blocks())
      return fail(Errc::data_corrupt, "a split4 part of only {} bytes", in.size());
    std::size_t total = kEntryBytes * cut.blocks();
    for (std::size_t i = 0; i < cut.blocks(); ++i) {
      const std::byte* entry = in.data() + kEntryBytes * i;
      const auto escapes = load_le<std::uint16_t>(entry);
      const auto base = static_cast<std::uint8_t>(entry[2]);
      const std::size_t n = cut.block(i).values();
      const bool sane = escapes == kStored ? base == 0 : escapes < n / 2 && base <= kMaxBase;
      if (!sane || entry[3] != std::byte{0})
        return fail(Errc::data_corrupt, "split4 block {} says {} escapes over base {}", i, escapes, base);
      total += escapes == kStored ? 2 * n : coded_bytes(n, escapes);
    }
    if (total != in.size())
      return fail(Errc::data_corrupt, "a split4 part of {} bytes whose blocks have {}", in.size(), total);
    return {};
  }

  const ExponentKernels& k_;
};

}  // namespace

std::unique_ptr<PartCodec> make_split4_part(Isa isa) { return std::make_unique<Split4>(exponent_kernels(isa)); }

}  // namespace sluice::kv
