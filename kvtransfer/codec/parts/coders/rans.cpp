// rANS: blocks of whole rows, each a block of a symbol plane.
#include <algorithm>
#include <vector>

#include "kvtransfer/codec/parts/coders/makers.h"
#include "kvtransfer/codec/parts/symbol_plane.h"

namespace sluice::kv {
namespace {

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
  RansCoder(const Alphabet& alphabet, Isa isa) : k_(coder_kernels(isa)), alphabet_(alphabet) {}
  bool supports(std::size_t width) const noexcept override { return width <= kRansBlockSymbols; }
  std::size_t max_bytes(const PartShape& p) const noexcept override {
    return max_plane_bytes(alphabet_.symbols, p.values(), block_symbols(p));
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
    return {
        .levels = alphabet_.symbols, .total = p.values(), .block_symbols = block_symbols(p), .fixed = alphabet_.table};
  }
  static std::uint32_t block_symbols(const PartShape& p) noexcept {
    return rans_block_rows(p.width()) * static_cast<std::uint32_t>(p.width());
  }
  const CoderKernels& k_;
  Alphabet alphabet_;
};

}  // namespace

std::unique_ptr<PlaneCoder> make_rans_coder(const Alphabet& alphabet, Isa isa) {
  return std::make_unique<RansCoder>(alphabet, isa);
}

}  // namespace sluice::kv
