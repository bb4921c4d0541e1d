// q8: int8 with bf16 scales. Keys: one scale per channel over a group of about 64 tokens, because key channels differ
// by orders of magnitude and do so for every token. Values: one scale per token and head.
//
// Blob: header | scales | codes [tokens, kv_heads * head_dim]
//   keys    scales [groups, kv_heads * head_dim]
//   values  scales [tokens, kv_heads]
#include <algorithm>
#include <array>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/scales.h"

namespace sluice::kv {
namespace {

constexpr std::uint32_t kGroup = 64;
constexpr std::uint32_t kLongestGroup = kGroup + kGroup / 2 - 1;

/// Groups of 64 rows; the last takes what is left, 32 to 95, so that no scale serves only a few rows of a long segment.
std::uint32_t groups(std::uint32_t tokens) noexcept { return std::max(1U, (tokens + kGroup / 2) / kGroup); }

struct Sizes {
  std::size_t channels, scales, codes;
  [[nodiscard]] std::size_t total() const noexcept { return kBlobHeaderBytes + scales + codes; }
};

Sizes sizes_of(const SegmentShape& s) noexcept {
  const std::size_t channels = std::size_t{s.kv_heads} * s.head_dim;
  const std::size_t scales = s.kind == KvKind::key ? groups(s.tokens) * channels : std::size_t{s.tokens} * s.kv_heads;
  return {channels, 2 * scales, s.tokens * channels};
}

/// Calls fn(group, first row, rows).
template <class Fn>
void each_group(std::uint32_t tokens, Fn&& fn) {
  const std::uint32_t n = groups(tokens);
  for (std::uint32_t g = 0; g < n; ++g) {
    const std::uint32_t first = g * kGroup;
    fn(g, first, g + 1 == n ? tokens - first : kGroup);
  }
}

template <class Byte>
std::array<Byte*, kLongestGroup> row_pointers(const PagedRows<Byte>& rows, std::uint32_t first, std::uint32_t n) {
  std::array<Byte*, kLongestGroup> p;
  for (std::uint32_t i = 0; i < n; ++i) p[i] = rows.row(first + i);
  return p;
}

class Q8 final : public Codec {
 public:
  explicit Q8(const Kernels& k) : k_(k) {}
  std::uint16_t id() const noexcept override { return kQ8Id; }
  std::string_view name() const noexcept override { return "q8"; }
  bool lossless() const noexcept override { return false; }
  bool supports(const SegmentShape& s) const noexcept override { return sane_shape(s) && s.dtype == KvDType::bf16; }
  std::size_t max_encoded_size(const SegmentShape& s) const noexcept override { return sizes_of(s).total(); }

  Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows, std::span<std::byte> out,
                             CodecScratch&) const override {
    SLUICE_TRY(check_encode(*this, s, out));
    const Sizes z = sizes_of(s);
    write_blob_header(out, kQ8Id, kQ8Version, s);
    std::byte* scales = out.data() + kBlobHeaderBytes;
    std::byte* codes = scales + z.scales;
    if (s.kind == KvKind::key) {
      each_group(s.tokens, [&](std::uint32_t g, std::uint32_t first, std::uint32_t n) {
        const auto p = row_pointers(rows, first, n);
        k_.q8_key_encode(p.data(), n, static_cast<std::uint32_t>(z.channels), scales + 2 * g * z.channels,
                         codes + first * z.channels);
      });
    } else {
      for (std::uint32_t r = 0; r < s.tokens; ++r)
        k_.q8_value_encode(rows.row(r), s.kv_heads, s.head_dim, scales + std::size_t{2} * r * s.kv_heads,
                           codes + r * z.channels);
    }
    return z.total();
  }

  Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                  CodecScratch&) const override {
    SLUICE_TRY(check_blob_header(in, kQ8Id, kQ8Version, s));
    const Sizes z = sizes_of(s);
    if (in.size() != z.total())
      return fail(Errc::data_corrupt, "q8 segment of {} bytes, {} expected", in.size(), z.total());
    if (!good_scales(in.subspan(kBlobHeaderBytes, z.scales), kQ8MaxScale))
      return fail(Errc::data_corrupt, "q8 segment with a scale that no encoder writes");
    const std::byte* scales = in.data() + kBlobHeaderBytes;
    const std::byte* codes = scales + z.scales;
    if (s.kind == KvKind::key) {
      each_group(s.tokens, [&](std::uint32_t g, std::uint32_t first, std::uint32_t n) {
        const auto p = row_pointers(rows, first, n);
        k_.q8_key_decode(scales + 2 * g * z.channels, codes + first * z.channels, n,
                         static_cast<std::uint32_t>(z.channels), p.data());
      });
    } else {
      for (std::uint32_t r = 0; r < s.tokens; ++r)
        k_.q8_value_decode(scales + std::size_t{2} * r * s.kv_heads, codes + r * z.channels, s.kv_heads, s.head_dim,
                           rows.row(r));
    }
    return {};
  }

 private:
  const Kernels& k_;
};

}  // namespace

std::unique_ptr<Codec> make_q8(const Kernels& k) { return std::make_unique<Q8>(k); }

}  // namespace sluice::kv
