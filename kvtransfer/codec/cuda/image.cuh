#pragma once
// Finding one's way in a plan's image, in pages and in encoded chunks; and copies by a thread block.
#include "kvtransfer/codec/cuda/layout.h"
#include "kvtransfer/codec/cuda/simt.h"

namespace sluice::kv::cuda {

SLUICE_DEVICE const Segment& segment_at(const Image& m, std::uint32_t i) {
  return reinterpret_cast<const Segment*>(m.bytes + m.segments_at)[i];
}
SLUICE_DEVICE const Part& part_at(const Image& m, std::uint32_t i) {
  return reinterpret_cast<const Part*>(m.bytes + m.parts_at)[i];
}
SLUICE_DEVICE const Book& book_at(const Image& m, std::uint32_t i) {
  return reinterpret_cast<const Book*>(m.bytes + m.books_at)[i];
}
template <int D>
SLUICE_DEVICE const std::uint32_t* signs_at(const Image& m, const Part& p, std::uint32_t head) {
  return reinterpret_cast<const std::uint32_t*>(m.bytes + m.signs_at) + p.signs + std::size_t{head} * (D / 32);
}
SLUICE_DEVICE std::uint8_t* row_at(const Image& m, const PageTable& t, std::uint32_t segment, std::uint32_t row) {
  const std::uint32_t i = t.first_row + row;
  auto* page = static_cast<std::uint8_t*>(t.pages[std::size_t{segment} * t.pages_per_segment + i / t.rows_per_page]);
  return page + std::size_t{i % t.rows_per_page} * m.row_bytes;
}

/// The last part whose begin is not behind `at`; begins ascend, and parts without any share their successor's.
template <class F>
SLUICE_DEVICE std::uint32_t find_part(const Image& m, std::uint32_t at, F&& begin) {
  std::uint32_t low = 0, high = m.parts;
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    if (begin(part_at(m, middle)) <= at)
      low = middle;
    else
      high = middle;
  }
  return low;
}

// ---- by all threads of a block
// -------------------------------------------------------------------------------------------

template <class X>
SLUICE_DEVICE void fill_zero(X& x, std::uint8_t* p, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t i = from + x.thread(); i < to; i += x.threads()) p[i] = 0;
}

/// A multiple of 16 bytes, aligned to 16 at either end.
template <class X>
SLUICE_DEVICE void copy_row(X& x, const std::uint8_t* from, std::uint8_t* to, std::uint32_t bytes) {
  for (std::uint32_t i = 16 * x.thread(); i < bytes; i += 16 * x.threads()) {
    std::uint32_t w[4];
    load_words<4>(from + i, w);
    store_words<4>(to + i, w);
  }
}

/// n bytes from and to any address, in whole words at the target. Reads the words around `from`.
template <class X>
SLUICE_DEVICE void copy_bytes(X& x, const std::uint8_t* from, std::uint8_t* to, std::uint32_t n) {
  const auto past = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(to) & 3);
  const std::uint32_t head = least((4 - past) & 3, n), words = (n - head) / 4, tail = head + 4 * words;
  if (x.thread() < head) to[x.thread()] = from[x.thread()];
  if (x.thread() < n - tail) to[tail + x.thread()] = from[tail + x.thread()];
  const auto off = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(from + head) & 3);
  const std::uint8_t* base = from + head - off;
  for (std::uint32_t i = x.thread(); i < words; i += x.threads()) {
    std::uint32_t w = load_as<std::uint32_t>(base + 4 * i);
    if (off != 0) w = w >> 8 * off | load_as<std::uint32_t>(base + 4 * i + 4) << (32 - 8 * off);
    store_as(to + head + 4 * i, w);
  }
}

/// The sum over a block's threads, to all of them. sums: one word for each warp.
template <class X>
SLUICE_DEVICE std::uint64_t block_sum(X& x, std::uint64_t v, std::uint64_t* sums) {
  for (unsigned i = 1; i < 32; i *= 2) v += x.shfl_xor(v, i);
  x.sync_block();
  if (x.lane() == 0) sums[x.thread() / 32] = v;
  x.sync_block();
  std::uint64_t all = 0;
  for (std::uint32_t i = 0; i < x.threads() / 32; ++i) all += sums[i];
  return all;
}

// ---- encoded chunks
// ------------------------------------------------------------------------------------------------------

/// An encoded chunk. Nothing in it is believed: blobs may point anywhere, blobs may hold anything.
struct Encoded {
  const std::uint8_t* bytes;
  std::uint64_t size;
  const BlobRef* blobs;
};

struct Place {
  const std::uint8_t* begin;
  std::uint32_t size;
};

/// A segment's blob, if it lies within the buffer and holds at least what comes before the parts.
SLUICE_DEVICE DecodeError find_blob(const Encoded& e, const Segment& s, std::uint32_t index, Place& blob) {
  const BlobRef r = e.blobs[index];
  if (r.offset % 16 != 0 || r.offset > e.size || r.size > e.size - r.offset) return DecodeError::bounds;
  if (r.size < s.parts_at) return DecodeError::lengths;
  blob.begin = e.bytes + r.offset;
  blob.size = r.size;
  return DecodeError::none;
}

/// Part `index` of a segment; index = s.parts: what is left behind the last one.
SLUICE_DEVICE DecodeError find_part_bytes(const Image& m, const Segment& s, const Place& blob, std::uint32_t index,
                                          Place& part) {
  std::uint64_t at = s.parts_at;
  for (std::uint32_t i = 0;; ++i) {
    if (i == s.parts) {
      part.begin = blob.begin + at;
      part.size = static_cast<std::uint32_t>(blob.size - at);
      return DecodeError::none;
    }
    const std::uint32_t n = load_as<std::uint32_t>(blob.begin + 16 + 4 * i);
    const Part& p = part_at(m, s.first_part + i);
    if (up16(n) > blob.size - at || (p.coded ? n < p.codes_at : n != p.bytes)) return DecodeError::lengths;
    if (i == index) {
      part.begin = blob.begin + at;
      part.size = n;
      return DecodeError::none;
    }
    at += up16(n);
  }
}

}  // namespace sluice::kv::cuda
