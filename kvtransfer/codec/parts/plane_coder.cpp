#include "kvtransfer/codec/parts/plane_coder.h"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/parts/symbol_plane.h"

namespace sluice::kv {
namespace {

// ---- rANS: blocks of whole rows
// --------------------------------------------------------------------------------------

/// Two of them are a batch, since two are decoded side by side.
constexpr std::size_t kBlockSymbols = kBatchSymbols / 2;

std::uint32_t block_symbols(std::size_t width) noexcept {
  return static_cast<std::uint32_t>(std::max<std::size_t>(kBlockSymbols / width, 1) * width);
}

/// Cuts what is quantized page by page into blocks of their own size.
class RansWriter final : public PlaneWriter {
 public:
  RansWriter(const CoderKernels& k, const PlaneSpec& s, std::byte* out) : writer_(k, s, out), block_(s.block_symbols) {}
  void rows(std::span<const std::uint8_t> symbols) override {
    while (!symbols.empty()) {
      if (held_.empty() && symbols.size() >= block_) {
        const std::size_t whole = symbols.size() / block_ * block_;
        writer_.block(symbols.first(whole));
        symbols = symbols.subspan(whole);
        continue;
      }
      const std::size_t n = std::min(symbols.size(), block_ - held_.size());
      held_.insert(held_.end(), symbols.begin(), symbols.begin() + static_cast<std::ptrdiff_t>(n));
      symbols = symbols.subspan(n);
      if (held_.size() == block_) flush();
    }
  }
  std::size_t finish() override {
    if (!held_.empty()) flush();
    return writer_.finish();
  }

 private:
  void flush() {
    writer_.block(held_);
    held_.clear();
  }
  SymbolWriter writer_;
  std::size_t block_;
  std::vector<std::uint8_t> held_;
};

class RansReader final : public PlaneReader {
 public:
  RansReader(const SymbolReader& r, const PlaneSpec& s) : reader_(r), block_(s.block_symbols), left_(s.total) {}
  Result<> rows(std::span<std::uint8_t> symbols) override {
    while (!symbols.empty()) {
      if (at_ == held_.size()) {
        // Whole blocks go where they belong; what is left of a batch comes from a block that is kept.
        const std::size_t direct = symbols.size() >= left_ ? left_ : symbols.size() / block_ * block_;
        if (direct > 0) {
          SLUICE_TRY(reader_.block(symbols.first(direct)));
          left_ -= direct;
          symbols = symbols.subspan(direct);
          continue;
        }
        held_.resize(std::min(block_, left_));
        at_ = 0;
        left_ -= held_.size();
        SLUICE_TRY(reader_.block(held_));
      }
      const std::size_t n = std::min(symbols.size(), held_.size() - at_);
      std::copy_n(held_.begin() + static_cast<std::ptrdiff_t>(at_), n, symbols.begin());
      at_ += n;
      symbols = symbols.subspan(n);
    }
    return {};
  }
  Result<> finish() override { return reader_.finish(); }

 private:
  SymbolReader reader_;
  std::size_t block_, left_, at_ = 0;
  std::vector<std::uint8_t> held_;
};

class RansCoder final : public PlaneCoder {
 public:
  RansCoder(const ClassSpec& c, Isa isa)
      : k_(coder_kernels(isa)),
        levels_(c.levels),
        table_(c.quantizer == Quantizer::lloyd ? &lloyd_table(c.bits()) : nullptr) {}
  bool supports(std::size_t width) const noexcept override { return width <= kBlockSymbols; }
  std::size_t max_bytes(const PartShape& p) const noexcept override {
    return max_plane_bytes(levels_, p.values(), block_symbols(p.width()));
  }
  std::unique_ptr<PlaneWriter> writer(const PartShape& p, std::byte* out, CodecScratch&) const override {
    return std::make_unique<RansWriter>(k_, plane(p), out);
  }
  Result<std::unique_ptr<PlaneReader>> reader(const PartShape& p, std::span<const std::byte> in,
                                              CodecScratch&) const override {
    const PlaneSpec s = plane(p);
    SLUICE_ASSIGN(SymbolReader r, SymbolReader::open(k_, s, in));
    return std::make_unique<RansReader>(r, s);
  }

 private:
  [[nodiscard]] PlaneSpec plane(const PartShape& p) const noexcept {
    return {.levels = levels_, .total = p.values(), .block_symbols = block_symbols(p.width()), .fixed = table_};
  }
  const CoderKernels& k_;
  std::uint32_t levels_;
  const RansTable* table_;
};

// ---- zstd and lz4 over the packed symbols: u32 method (0 stored, 1 coded) | bytes
// ----------------------------------------

constexpr std::uint32_t kStored = 0, kCoded = 1;
constexpr std::size_t kMethodBytes = 4;

std::size_t compress(Coder c, std::span<const std::byte> in, std::byte* out, std::size_t room) {
  if (c == Coder::zstd) {
    const std::size_t n = ZSTD_compress(out, room, in.data(), in.size(), 1);
    return ZSTD_isError(n) ? 0 : n;
  }
  const int n = LZ4_compress_default(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out),
                                     static_cast<int>(in.size()), static_cast<int>(room));
  return static_cast<std::size_t>(std::max(n, 0));
}

bool expand(Coder c, std::span<const std::byte> in, std::span<std::byte> out) {
  if (c == Coder::zstd) return ZSTD_decompress(out.data(), out.size(), in.data(), in.size()) == out.size();
  return LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                             static_cast<int>(in.size()), static_cast<int>(out.size())) == static_cast<int>(out.size());
}

class PackedWriter final : public PlaneWriter {
 public:
  PackedWriter(Coder c, std::uint32_t bits, std::uint32_t dim, const Kernels& k, std::byte* out, CodecScratch& scratch)
      : coder_(c), bits_(bits), dim_(dim), k_(k), out_(out), packed_(scratch.packed) {
    packed_.clear();
  }
  void rows(std::span<const std::uint8_t> symbols) override {
    const std::size_t at = packed_.size();
    packed_.resize(at + symbols.size() * bits_ / 8);
    k_.pack(bits_, symbols.size() / dim_, dim_, symbols.data(), packed_.data() + at);
  }
  std::size_t finish() override {
    std::size_t n = compress(coder_, packed_, out_ + kMethodBytes, packed_.size());
    const bool shrunk = n > 0 && n < packed_.size();
    if (!shrunk) {
      std::ranges::copy(packed_, out_ + kMethodBytes);
      n = packed_.size();
    }
    store_le(out_, shrunk ? kCoded : kStored);
    return kMethodBytes + n;
  }

 private:
  Coder coder_;
  std::uint32_t bits_, dim_;
  const Kernels& k_;
  std::byte* out_;
  std::vector<std::byte>& packed_;
};

class PackedReader final : public PlaneReader {
 public:
  PackedReader(std::uint32_t bits, std::uint32_t dim, std::uint32_t levels, const Kernels& k,
               std::span<const std::byte> packed)
      : bits_(bits), dim_(dim), levels_(levels), k_(k), left_(packed) {}
  Result<> rows(std::span<std::uint8_t> symbols) override {
    k_.unpack(bits_, symbols.size() / dim_, dim_, left_.data(), symbols.data());
    left_ = left_.subspan(symbols.size() * bits_ / 8);
    if (levels_ != 0 && *std::ranges::max_element(symbols) >= levels_)
      return fail(Errc::data_corrupt, "a symbol beyond the {} levels of its class", levels_);
    return {};
  }
  Result<> finish() override { return {}; }

 private:
  std::uint32_t bits_, dim_, levels_;
  const Kernels& k_;
  std::span<const std::byte> left_;
};

class PackedCoder final : public PlaneCoder {
 public:
  PackedCoder(const ClassSpec& c, Isa isa)
      : coder_(c.coder),
        bits_(c.bits()),
        // Integers and floats use all 256 bytes.
        levels_(c.quantizer == Quantizer::absmax || c.quantizer == Quantizer::fp8 ? 0 : c.levels),
        k_(kernels(isa)) {}
  bool supports(std::size_t) const noexcept override { return true; }
  std::size_t max_bytes(const PartShape& p) const noexcept override { return kMethodBytes + packed_bytes(p); }
  std::unique_ptr<PlaneWriter> writer(const PartShape& p, std::byte* out, CodecScratch& scratch) const override {
    return std::make_unique<PackedWriter>(coder_, bits_, p.head_dim, k_, out, scratch);
  }
  Result<std::unique_ptr<PlaneReader>> reader(const PartShape& p, std::span<const std::byte> in,
                                              CodecScratch& scratch) const override {
    if (in.size() < kMethodBytes) return fail(Errc::data_corrupt, "a coded plane of {} bytes", in.size());
    const auto method = load_le<std::uint32_t>(in.data());
    in = in.subspan(kMethodBytes);
    std::span<const std::byte> packed = in;
    if (method == kCoded) {
      scratch.packed.resize(packed_bytes(p));
      if (!expand(coder_, in, scratch.packed)) return fail(Errc::data_corrupt, "a coded plane that does not unpack");
      packed = scratch.packed;
    } else if (method != kStored || in.size() != packed_bytes(p)) {
      return fail(Errc::data_corrupt, "a coded plane with method {} and {} bytes", method, in.size());
    }
    return std::make_unique<PackedReader>(bits_, p.head_dim, levels_, k_, packed);
  }

 private:
  [[nodiscard]] std::size_t packed_bytes(const PartShape& p) const noexcept { return p.values() * bits_ / 8; }
  Coder coder_;
  std::uint32_t bits_, levels_;
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<PlaneCoder> make_plane_coder(const ClassSpec& c, Isa isa) {
  if (c.coder == Coder::pack) return nullptr;
  if (c.coder == Coder::rans) return std::make_unique<RansCoder>(c, isa);
  return std::make_unique<PackedCoder>(c, isa);
}

}  // namespace sluice::kv
