#include "kvtransfer/codec/blob.h"

#include <algorithm>
#include <array>

#include "kvtransfer/bytes.h"

namespace sluice::kv {

bool sane_shape(const SegmentShape& s) noexcept {
  constexpr std::uint32_t kMax16 = 0xffff;
  return s.tokens >= 1 && s.tokens <= (1U << 24) && s.kv_heads >= 1 && s.kv_heads <= kMax16 && s.head_dim >= 2 &&
         s.head_dim <= kMax16 && s.head_dim % 2 == 0 && s.layer <= kMax16 && s.raw_bytes() <= (std::size_t{1} << 31);
}

void write_blob_header(std::span<std::byte> out, std::uint32_t codec, const SegmentShape& s) noexcept {
  std::byte* p = out.data();
  store_le(p, codec);
  store_le(p + 4, s.tokens);
  store_le(p + 8, static_cast<std::uint16_t>(s.kv_heads));
  store_le(p + 10, static_cast<std::uint16_t>(s.head_dim));
  store_le(p + 12, static_cast<std::uint16_t>(s.layer));
  store_le(p + 14, static_cast<std::uint8_t>(static_cast<unsigned>(s.dtype) | static_cast<unsigned>(s.kind) << 4));
  store_le(p + 15, std::uint8_t{0});
}

Result<> check_blob_header(std::span<const std::byte> in, std::uint32_t codec, const SegmentShape& s) {
  std::array<std::byte, kBlobHeaderBytes> expected;
  write_blob_header(expected, codec, s);
  if (in.size() < kBlobHeaderBytes || !std::equal(expected.begin(), expected.end(), in.begin()))
    return fail(Errc::data_corrupt, "the segment's header is not that of codec {} and the agreed shape", codec);
  return {};
}

Result<> check_encode(const Codec& codec, const SegmentShape& s, std::span<const std::byte> out) {
  if (!codec.supports(s))
    return fail(Errc::unsupported, "codec '{}' cannot carry {} heads of {} values", codec.name(), s.kv_heads,
                s.head_dim);
  if (out.size() < codec.max_encoded_size(s))
    return fail(Errc::invalid_argument, "codec '{}' needs a buffer of {} bytes, not {}", codec.name(),
                codec.max_encoded_size(s), out.size());
  return {};
}

}  // namespace sluice::kv
