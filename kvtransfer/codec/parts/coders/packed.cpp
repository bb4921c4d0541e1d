// zstd and lz4 over the packed symbols: u32 method (0 stored, 1 coded) | bytes
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <vector>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/parts/coders/makers.h"

namespace sluice::kv {
namespace {

constexpr std::uint32_t kStored = 0, kCoded = 1;
constexpr std::size_t kMethodBytes = 4;

/// A library, as it is used here.
struct Library {
  /// Bytes written, or 0 if they are more than `room`.
  std::size_t (*compress)(std::span<const std::byte> in, std::byte* out, std::size_t room);
  /// False unless `out` was filled.
  bool (*expand)(std::span<const std::byte> in, std::span<std::byte> out);
};

constexpr Library kZstd = {
    .compress = [](std::span<const std::byte> in, std::byte* out, std::size_t room) -> std::size_t {
      const std::size_t n = ZSTD_compress(out, room, in.data(), in.size(), 1);
      return ZSTD_isError(n) ? 0 : n;
    },
    .expand = [](std::span<const std::byte> in, std::span<std::byte> out) -> bool {
      return ZSTD_decompress(out.data(), out.size(), in.data(), in.size()) == out.size();
    }};

constexpr Library kLz4 = {
    .compress = [](std::span<const std::byte> in, std::byte* out, std::size_t room) -> std::size_t {
      const int n = LZ4_compress_default(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out),
                                         static_cast<int>(in.size()), static_cast<int>(room));
      return static_cast<std::size_t>(std::max(n, 0));
    },
    .expand = [](std::span<const std::byte> in, std::span<std::byte> out) -> bool {
      return LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
                                 static_cast<int>(in.size()),
                                 static_cast<int>(out.size())) == static_cast<int>(out.size());
    }};

class PackedWriter final : public PlaneWriter {
 public:
  PackedWriter(const Library& library, std::uint32_t bits, std::uint32_t dim, const Kernels& k, std::byte* out,
               CodecScratch& scratch)
      : library_(library), bits_(bits), dim_(dim), k_(k), out_(out), packed_(scratch.packed) {
    packed_.clear();
  }
  void rows(std::span<const std::uint8_t> symbols) override {
    const std::size_t at = packed_.size();
    packed_.resize(at + symbols.size() * bits_ / 8);
    k_.pack(bits_, symbols.size() / dim_, dim_, symbols.data(), packed_.data() + at);
  }
  std::size_t finish() override {
    std::size_t n = library_.compress(packed_, out_ + kMethodBytes, packed_.size());
    const bool shrunk = n > 0 && n < packed_.size();
    if (!shrunk) {
      std::ranges::copy(packed_, out_ + kMethodBytes);
      n = packed_.size();
    }
    store_le(out_, shrunk ? kCoded : kStored);
    return kMethodBytes + n;
  }

 private:
  const Library& library_;
  std::uint32_t bits_, dim_;
  const Kernels& k_;
  std::byte* out_;
  std::vector<std::byte>& packed_;
};

class PackedReader final : public PlaneReader {
 public:
  PackedReader(const Alphabet& alphabet, std::uint32_t dim, const Kernels& k, std::span<const std::byte> packed)
      : alphabet_(alphabet), dim_(dim), k_(k), left_(packed) {}
  Result<> rows(std::span<std::uint8_t> symbols) override {
    k_.unpack(alphabet_.bits, symbols.size() / dim_, dim_, left_.data(), symbols.data());
    left_ = left_.subspan(symbols.size() * alphabet_.bits / 8);
    if (alphabet_.symbols < 1U << alphabet_.bits && *std::ranges::max_element(symbols) >= alphabet_.symbols)
      return fail(Errc::data_corrupt, "a symbol beyond the {} levels of its class", alphabet_.symbols);
    return {};
  }
  Result<> finish() override { return {}; }

 private:
  Alphabet alphabet_;
  std::uint32_t dim_;
  const Kernels& k_;
  std::span<const std::byte> left_;
};

class PackedCoder final : public PlaneCoder {
 public:
  PackedCoder(const Library& library, const Alphabet& alphabet, Isa isa)
      : library_(library), alphabet_(alphabet), k_(kernels(isa)) {}
  bool supports(std::size_t) const noexcept override { return true; }
  std::size_t max_bytes(const PartShape& p) const noexcept override { return kMethodBytes + packed_bytes(p); }
  std::unique_ptr<PlaneWriter> writer(const PartShape& p, std::byte* out, CodecScratch& scratch) const override {
    return std::make_unique<PackedWriter>(library_, alphabet_.bits, p.head_dim, k_, out, scratch);
  }
  Result<std::unique_ptr<PlaneReader>> reader(const PartShape& p, std::span<const std::byte> in,
                                              CodecScratch& scratch) const override {
    if (in.size() < kMethodBytes) return fail(Errc::data_corrupt, "a coded plane of {} bytes", in.size());
    const auto method = load_le<std::uint32_t>(in.data());
    in = in.subspan(kMethodBytes);
    std::span<const std::byte> packed = in;
    if (method == kCoded) {
      scratch.packed.resize(packed_bytes(p));
      if (!library_.expand(in, scratch.packed)) return fail(Errc::data_corrupt, "a coded plane that does not unpack");
      packed = scratch.packed;
    } else if (method != kStored || in.size() != packed_bytes(p)) {
      return fail(Errc::data_corrupt, "a coded plane with method {} and {} bytes", method, in.size());
    }
    return std::make_unique<PackedReader>(alphabet_, p.head_dim, k_, packed);
  }

 private:
  [[nodiscard]] std::size_t packed_bytes(const PartShape& p) const noexcept { return p.values() * alphabet_.bits / 8; }
  const Library& library_;
  Alphabet alphabet_;
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<PlaneCoder> make_zstd_coder(const Alphabet& alphabet, Isa isa) {
  return std::make_unique<PackedCoder>(kZstd, alphabet, isa);
}

std::unique_ptr<PlaneCoder> make_lz4_coder(const Alphabet& alphabet, Isa isa) {
  return std::make_unique<PackedCoder>(kLz4, alphabet, isa);
}

}  // namespace sluice::kv
