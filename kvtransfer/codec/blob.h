#pragma once
// The 16 bytes in front of every encoded segment. They name the codec and the shape, so that a blob can be read without
// its frame; a decoder only compares them with what was agreed, and never sizes anything by them.
//
//   0 u32 codec id   4 u32 tokens   8 u16 kv_heads   10 u16 head_dim   12 u16 layer   14 u8 dtype (0..3) | kind (4..7)
//   15 u8 zero
#include <cstdint>
#include <span>

#include "common/result.h"
#include "kvtransfer/codec/codec.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

inline constexpr std::size_t kBlobHeaderBytes = 16;

/// What every codec here can carry at most: rows with an even number of values per head and sizes that fit the blob
/// header and a frame.
[[nodiscard]] bool sane_shape(const SegmentShape& s) noexcept;

void write_blob_header(std::span<std::byte> out, std::uint32_t codec, const SegmentShape& s) noexcept;
/// data_corrupt unless `in` begins with exactly the header that write_blob_header() makes.
[[nodiscard]] Result<> check_blob_header(std::span<const std::byte> in, std::uint32_t codec, const SegmentShape& s);

/// Encoders: unsupported shape or too small a buffer.
[[nodiscard]] Result<> check_encode(const Codec& codec, const SegmentShape& s, std::span<const std::byte> out);

/// Calls fn(first row, count, pointer) for each run of rows that is contiguous in memory.
template <class Byte, class Fn>
void each_run(const PagedRows<Byte>& rows, std::uint32_t count, Fn&& fn) {
  for (std::uint32_t r = 0; r < count;) {
    const std::uint32_t n = rows.run(r) < count - r ? rows.run(r) : count - r;
    fn(r, n, rows.row(r));
    r += n;
  }
}

}  // namespace sluice::kv
