#pragma once
// The last step of a chunk with coded parts: lengths are known, so blocks, lengths and parts behind coded ones go to
// their places. Each thread block adds up the lengths before its own itself.
#include "kvtransfer/codec/cuda/rans.cuh"

namespace sluice::kv::cuda {

struct PackShared {
  std::uint64_t sums[kThreads / 32];
  SplitShared split;
};

/// Bytes of the first `count` blocks of a part.
template <class X>
SLUICE_DEVICE std::uint64_t blocks_bytes(X& x, const Image& m, const Part& p, std::uint32_t count,
                                         const std::uint8_t* workspace, PackShared& shared) {
  std::uint64_t n = 0;
  for (std::uint32_t i = x.thread(); i < count; i += x.threads())
    n += load_as<std::uint32_t>(workspace + m.lengths_at + 4 * std::uint64_t{p.first_block + i}) & kLengthMask;
  return block_sum(x, n, shared.sums);
}
SLUICE_DEVICE std::uint32_t plane_prefix(const Part& p) { return 16 * p.measured + 4 * p.blocks; }

template <class X>
SLUICE_DEVICE std::uint32_t part_bytes(X& x, const Image& m, const Part& p, const std::uint8_t* workspace,
                                       PackShared& shared) {
  if (!p.coded) return p.bytes;
  return p.bytes + plane_prefix(p) + static_cast<std::uint32_t>(blocks_bytes(x, m, p, p.blocks, workspace, shared));
}

/// Where part `index` of a segment begins in its blob.
template <class X>
SLUICE_DEVICE std::uint64_t part_begin(X& x, const Image& m, const Segment& s, std::uint32_t index,
                                       const std::uint8_t* workspace, PackShared& shared) {
  std::uint64_t at = s.parts_at;
  for (std::uint32_t i = 0; i < index; ++i)
    at += up16(part_bytes(x, m, part_at(m, s.first_part + i), workspace, shared));
  return at;
}

template <class X>
SLUICE_DEVICE void pack_frame(X& x, const Image& m, std::uint32_t index, std::uint8_t* out, BlobRef* blobs,
                              const std::uint8_t* workspace, PackShared& shared) {
  const Segment& s = segment_at(m, index);
  if (!s.coded) return;
  std::uint64_t at = s.parts_at;
  for (std::uint32_t i = 0; i < s.parts; ++i) {
    const std::uint32_t n = part_bytes(x, m, part_at(m, s.first_part + i), workspace, shared);
    if (x.thread() == 0) store_as(out + s.out_at + 16 + 4 * i, n);
    at += up16(n);
  }
  if (x.thread() != 0) return;
  blobs[index].offset = s.out_at;
  blobs[index].size = static_cast<std::uint32_t>(at);
  blobs[index].reserved = 0;
}

template <int D, class X>
SLUICE_DEVICE void pack_block(X& x, const Image& m, const PageTable& t, std::uint32_t index, std::uint8_t* out,
                              std::uint8_t* workspace, PackShared& shared) {
  const Part& p = part_at(m, find_part(m, index, [](const Part& q) { return q.first_block; }));
  const Segment& s = segment_at(m, p.segment);
  const std::uint32_t i = index - p.first_block;
  std::uint8_t* part = out + s.out_at + part_begin(x, m, s, p.index, workspace, shared);
  std::uint8_t* plane = part + p.codes_at;
  const std::uint64_t before = plane_prefix(p) + blocks_bytes(x, m, p, i, workspace, shared);
  const auto entry = load_as<std::uint32_t>(workspace + m.lengths_at + 4 * std::uint64_t{index});
  const std::uint32_t length = entry & kLengthMask;
  if (p.kind == PartKind::split4) {
    write_split<D>(x, m, t, p, i, entry, plane + 4 * i, plane + before, shared.split);
  } else {
    if (x.thread() == 0) store_as(plane + 16 * p.measured + 4 * i, entry);
    if (i == 0 && p.measured && x.thread() < 16)
      plane[x.thread()] = workspace[m.tables_at + 16 * std::uint64_t{p.table} + x.thread()];
    copy_bytes(x, slot_end<D>(p, coded_block<D>(p, i), workspace) - length, plane + before, length);
  }
  if (i + 1 == p.blocks) {
    const std::uint64_t end = p.codes_at + before + length;
    fill_zero(x, part, end, up16(end));
  }
}

/// A piece of a part behind a coded one: coded itself, what is in front of its plane.
template <class X>
SLUICE_DEVICE void pack_floating(X& x, const Image& m, std::uint32_t index, std::uint8_t* out,
                                 const std::uint8_t* workspace, PackShared& shared) {
  const Part& p = part_at(m, find_part(m, index, [](const Part& q) { return q.first_move; }));
  const Segment& s = segment_at(m, p.segment);
  std::uint8_t* to = out + s.out_at + part_begin(x, m, s, p.index, workspace, shared);
  const std::uint64_t first = std::uint64_t{index - p.first_move} * kMoveBytes, all = up16(p.bytes);
  const std::uint64_t n = all - first < kMoveBytes ? all - first : kMoveBytes;
  copy_row(x, workspace + p.at + first, to + first, static_cast<std::uint32_t>(n));
}

template <int D, class X>
SLUICE_DEVICE void pack_chunk(X& x, const Image& m, const PageTable& t, std::uint8_t* out, BlobRef* blobs,
                              std::uint8_t* workspace, PackShared& shared) {
  if (x.block() < m.segments) return pack_frame(x, m, x.block(), out, blobs, workspace, shared);
  const std::uint32_t i = x.block() - m.segments;
  if (i < m.coded_blocks) return pack_block<D>(x, m, t, i, out, workspace, shared);
  pack_floating(x, m, i - m.coded_blocks, out, workspace, shared);
}

}  // namespace sluice::kv::cuda
