// ll: lossless. A value's exponent takes few of its 256 values, its sign and mantissa are noise: the exponents go
// through zstd, the rest stays as it is. Exact for every bit pattern.
//
// Blob: header | u32 method (0 stored, 1 zstd) | u32 exponent bytes | exponents | sign and mantissa
//   bf16  1 byte of exponent, 1 byte sign << 7 | mantissa
//   f32   1 byte of exponent, 3 bytes sign << 23 | mantissa
#include <zstd.h>

#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"

namespace sluice::kv {
namespace {

constexpr std::size_t kPrefix = kBlobHeaderBytes + 8;
constexpr std::uint32_t kStored = 0, kZstd = 1;

struct CtxFree {
  void operator()(ZSTD_CCtx* c) const noexcept { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* c) const noexcept { ZSTD_freeDCtx(c); }
};

// zstd's contexts are as dear to make as a small segment is to code, and CodecScratch has no room for them.
ZSTD_CCtx* compressor() {
  thread_local const std::unique_ptr<ZSTD_CCtx, CtxFree> ctx([] {
    ZSTD_CCtx* c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, 1);
    // Exponents repeat only by chance. A tiny hash table and long matches make zstd stop looking and spend its time on
    // the Huffman code: 2.7 times faster than plain level 1, and smaller.
    ZSTD_CCtx_setParameter(c, ZSTD_c_hashLog, 6);
    ZSTD_CCtx_setParameter(c, ZSTD_c_minMatch, 7);
    return c;
  }());
  return ctx.get();
}
ZSTD_DCtx* decompressor() {
  thread_local const std::unique_ptr<ZSTD_DCtx, CtxFree> ctx(ZSTD_createDCtx());
  return ctx.get();
}

std::size_t values_of(const SegmentShape& s) noexcept { return std::size_t{s.tokens} * s.kv_heads * s.head_dim; }
std::size_t rest_bytes(KvDType t) noexcept { return size_of(t) - 1; }

void split_f32(const std::byte* in, std::size_t n, std::byte* exponents, std::byte* rest) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto v = load_le<std::uint32_t>(in + 4 * i);
    exponents[i] = static_cast<std::byte>(v >> 23);
    const std::uint32_t r = (v >> 8 & 0x800000U) | (v & 0x7fffffU);
    std::memcpy(rest + 3 * i, &r, 3);
  }
}

void join_f32(const std::byte* exponents, const std::byte* rest, std::size_t n, std::byte* out) {
  for (std::size_t i = 0; i < n; ++i) {
    std::uint32_t r = 0;
    std::memcpy(&r, rest + 3 * i, 3);
    store_le(out + 4 * i, (r & 0x800000U) << 8 | static_cast<std::uint32_t>(exponents[i]) << 23 | (r & 0x7fffffU));
  }
}

class Ll final : public Codec {
 public:
  Ll(std::uint32_t id, const ExponentKernels& k) : id_(id), k_(k) {}
  std::uint32_t id() const noexcept override { return id_; }
  std::string_view name() const noexcept override { return "ll"; }
  bool lossless() const noexcept override { return true; }
  bool supports(const SegmentShape& s) const noexcept override { return sane_shape(s); }
  std::size_t max_encoded_size(const SegmentShape& s) const noexcept override { return kPrefix + s.raw_bytes(); }

  Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows, std::span<std::byte> out,
                             CodecScratch& scratch) const override {
    SLUICE_TRY(check_encode(*this, s, out));
    const std::size_t n = values_of(s), per_row = n / s.tokens, rest = rest_bytes(s.dtype);
    scratch.bytes.resize(std::max(scratch.bytes.size(), n * (1 + rest)));
    std::byte* exponents = scratch.bytes.data();
    std::byte* remainder = exponents + n;
    each_run(rows, s.tokens, [&](std::uint32_t r, std::uint32_t count, const std::byte* from) {
      const std::size_t at = r * per_row, values = count * per_row;
      if (s.dtype == KvDType::bf16)
        k_.exponent_split(from, values, reinterpret_cast<std::uint8_t*>(exponents + at), remainder + at);
      else
        split_f32(from, values, exponents + at, remainder + rest * at);
    });

    write_blob_header(out, id_, s);
    std::byte* to = out.data() + kPrefix;
    // Room for less than the exponents themselves: whatever does not shrink is stored.
    std::size_t packed = ZSTD_compress2(compressor(), to, n - 1, exponents, n);
    const bool shrunk = !ZSTD_isError(packed);
    if (!shrunk) {
      std::memcpy(to, exponents, n);
      packed = n;
    }
    store_le(out.data() + kBlobHeaderBytes, shrunk ? kZstd : kStored);
    store_le(out.data() + kBlobHeaderBytes + 4, static_cast<std::uint32_t>(packed));
    std::memcpy(to + packed, remainder, n * rest);
    return kPrefix + packed + n * rest;
  }

  Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                  CodecScratch& scratch) const override {
    SLUICE_TRY(check_blob_header(in, id_, s));
    const std::size_t n = values_of(s), per_row = n / s.tokens, rest = rest_bytes(s.dtype);
    if (in.size() < kPrefix + n * rest) return fail(Errc::data_corrupt, "ll segment of only {} bytes", in.size());
    const auto method = load_le<std::uint32_t>(in.data() + kBlobHeaderBytes);
    const auto packed = load_le<std::uint32_t>(in.data() + kBlobHeaderBytes + 4);
    if (packed != in.size() - kPrefix - n * rest)
      return fail(Errc::data_corrupt, "ll segment of {} bytes says that {} are exponents", in.size(), packed);

    const std::byte* exponents = in.data() + kPrefix;
    const std::byte* remainder = exponents + packed;
    if (method == kZstd) {
      scratch.bytes.resize(std::max(scratch.bytes.size(), n));
      const std::size_t got = ZSTD_decompressDCtx(decompressor(), scratch.bytes.data(), n, exponents, packed);
      if (ZSTD_isError(got) || got != n) return fail(Errc::data_corrupt, "ll segment's exponents do not unpack");
      exponents = scratch.bytes.data();
    } else if (method != kStored || packed != n) {
      return fail(Errc::data_corrupt, "ll segment with unknown method {}", method);
    }
    each_run(rows, s.tokens, [&](std::uint32_t r, std::uint32_t count, std::byte* to) {
      const std::size_t at = r * per_row, values = count * per_row;
      if (s.dtype == KvDType::bf16)
        k_.exponent_join(reinterpret_cast<const std::uint8_t*>(exponents + at), remainder + at, values, to);
      else
        join_f32(exponents + at, remainder + rest * at, values, to);
    });
    return {};
  }

 private:
  std::uint32_t id_;
  const ExponentKernels& k_;
};

}  // namespace

std::unique_ptr<Codec> make_ll(std::uint32_t id, const ExponentKernels& k) { return std::make_unique<Ll>(id, k); }

}  // namespace sluice::kv
