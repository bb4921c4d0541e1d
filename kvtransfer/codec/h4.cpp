// h4: 4 bits after a random-sign Walsh-Hadamard transform of each head's vector, which makes any vector look Gaussian,
// for which the Lloyd-Max levels (Max 1960) are best. One bf16 scale per token and head, chosen so that the
// reconstruction's error is least, not from the vector's norm alone.
//
// Blob: header | scales [tokens, kv_heads] bf16 | codes [tokens, kv_heads, head_dim / 2]
#include <algorithm>
#include <bit>
#include <cstring>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/scales.h"
#include "kvtransfer/codec/signs.h"

namespace sluice::kv {
namespace {

constexpr std::uint32_t kMaxHeadDim = 1024;

/// Largest power of two that divides head_dim: the transform's blocks tile the head.
std::uint32_t block_of(std::uint32_t head_dim) noexcept { return head_dim & (~head_dim + 1); }

struct Sizes {
  std::size_t scales, codes;  // per segment
  [[nodiscard]] std::size_t total() const noexcept { return kBlobHeaderBytes + scales + codes; }
};

Sizes sizes_of(const SegmentShape& s) noexcept {
  const std::size_t vectors = std::size_t{s.tokens} * s.kv_heads;
  return {2 * vectors, vectors * (s.head_dim / 2)};
}

/// The segment's signs, [kv_heads, head_dim], in the scratch.
const std::uint16_t* signs_of(const SegmentShape& s, CodecScratch& scratch) {
  const std::size_t count = std::size_t{s.kv_heads} * s.head_dim;
  scratch.bytes.resize(std::max(scratch.bytes.size(), 2 * count));
  auto* signs = reinterpret_cast<std::uint16_t*>(scratch.bytes.data());  // new's memory is aligned for this
  for (std::uint32_t h = 0; h < s.kv_heads; ++h)
    fill_signs(s.layer, s.kind, h, {signs + std::size_t{h} * s.head_dim, s.head_dim});
  return signs;
}

class H4 final : public Codec {
 public:
  explicit H4(const Kernels& k) : k_(k) {}
  std::uint16_t id() const noexcept override { return kH4Id; }
  std::string_view name() const noexcept override { return "h4"; }
  bool lossless() const noexcept override { return false; }
  bool supports(const SegmentShape& s) const noexcept override {
    return sane_shape(s) && s.dtype == KvDType::bf16 && s.head_dim <= kMaxHeadDim;
  }
  std::size_t max_encoded_size(const SegmentShape& s) const noexcept override { return sizes_of(s).total(); }

  Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows, std::span<std::byte> out,
                             CodecScratch& scratch) const override {
    SLUICE_TRY(check_encode(*this, s, out));
    const Sizes z = sizes_of(s);
    write_blob_header(out, kH4Id, kH4Version, s);
    const H4Shape shape{s.kv_heads, s.head_dim, block_of(s.head_dim)};
    const std::uint16_t* signs = signs_of(s, scratch);
    std::byte* scales = out.data() + kBlobHeaderBytes;
    std::byte* codes = scales + z.scales;
    for (std::size_t r = 0; r < s.tokens; ++r)
      k_.h4_encode(shape, signs, rows.row(static_cast<std::uint32_t>(r)), scales + r * (z.scales / s.tokens),
                   codes + r * (z.codes / s.tokens));
    return z.total();
  }

  Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                  CodecScratch& scratch) const override {
    if (!supports(s)) return fail(Errc::unsupported, "h4 cannot carry heads of {} values", s.head_dim);
    SLUICE_TRY(check_blob_header(in, kH4Id, kH4Version, s));
    const Sizes z = sizes_of(s);
    if (in.size() != z.total())
      return fail(Errc::data_corrupt, "h4 segment of {} bytes, {} expected", in.size(), z.total());
    const H4Shape shape{s.kv_heads, s.head_dim, block_of(s.head_dim)};
    if (!good_scales(in.subspan(kBlobHeaderBytes, z.scales), h4_max_scale(shape.block)))
      return fail(Errc::data_corrupt, "h4 segment with a scale that no encoder writes");
    const std::uint16_t* signs = signs_of(s, scratch);
    const std::byte* scales = in.data() + kBlobHeaderBytes;
    const std::byte* codes = scales + z.scales;
    for (std::size_t r = 0; r < s.tokens; ++r)
      k_.h4_decode(shape, signs, scales + r * (z.scales / s.tokens), codes + r * (z.codes / s.tokens),
                   rows.row(static_cast<std::uint32_t>(r)));
    return {};
  }

 private:
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<Codec> make_h4(const Kernels& k) { return std::make_unique<H4>(k); }

}  // namespace sluice::kv
