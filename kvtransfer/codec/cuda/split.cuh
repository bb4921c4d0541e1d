#pragma once
// split4 (parts/split4.cpp): exponents in four bits below the block's largest, others as escapes. One thread block per
// block of at most 8,192 values. Two passes over the rows, since a block's place depends on the escapes before it: one
// that counts them (with the fixed-rate tiles), and one that writes every block where it belongs (with packing).
// Reading the rows twice moves fewer bytes than writing 12 bits a value twice.
#include "kvtransfer/codec/cuda/image.cuh"

namespace sluice::kv::cuda {

constexpr std::uint32_t kEntryStored = 0xffff, kMostBase = 255 - 14;
constexpr int kRounds = 4;  // groups of 8 values of a thread: kRounds * 8 * kThreads = kSplitValues

struct SplitShared {
  std::uint64_t sums[kThreads / 32];
  std::uint32_t maxima[kThreads / 32];
  alignas(16) std::uint8_t coded[2 * kSplitValues];
};

struct SplitBlock {
  std::uint32_t index, first, values, width;  // in the part; first row; values; of a row
  SLUICE_DEVICE std::uint32_t coded_bytes(std::uint32_t escapes) const { return values / 2 + values + escapes; }
};
template <int D>
SLUICE_DEVICE SplitBlock split_block(const Part& p, std::uint32_t index) {
  SplitBlock b;
  b.index = index;
  b.first = index * p.block_tokens;
  b.width = p.heads * D;
  b.values = least(p.block_tokens, p.tokens - b.first) * b.width;
  return b;
}

/// Where group g of 8 values lies.
template <int D>
SLUICE_DEVICE std::uint8_t* group_at(const Image& m, const PageTable& t, const Part& p, const SplitBlock& b,
                                     std::uint32_t g) {
  const std::uint32_t row = 8 * g / b.width, column = 8 * g % b.width;
  return row_at(m, t, p.segment, p.first_row + b.first + row) + 2 * (std::size_t{p.first_head} * D + column);
}

/// pairs: 4 words for each round; what lies beyond the block is zero and `groups` has no bit for it.
template <int D, class X>
SLUICE_DEVICE void load_groups(X& x, const Image& m, const PageTable& t, const Part& p, const SplitBlock& b,
                               std::uint32_t* pairs) {
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    const std::uint32_t g = r * kThreads + x.thread();
    SLUICE_UNROLL
    for (int i = 0; i < 4; ++i) pairs[4 * r + i] = 0;
    if (8 * g < b.values) load_words<4>(group_at<D>(m, t, p, b, g), pairs + 4 * r);
  }
}

SLUICE_DEVICE std::uint32_t exponent_of(std::uint32_t value) { return value >> 7 & 0xffU; }
SLUICE_DEVICE std::uint32_t rest_of(std::uint32_t value) { return (value >> 8 & 0x80U) | (value & 0x7fU); }
SLUICE_DEVICE std::uint32_t value_of(std::uint32_t exponent, std::uint32_t rest) {
  return (rest & 0x80U) << 8 | exponent << 7 | (rest & 0x7fU);
}
SLUICE_DEVICE std::uint32_t half_of(const std::uint32_t* pairs, int i) {
  return pairs[i / 2] >> 16 * (i % 2) & 0xffffU;
}

/// The base of a block's exponents, to all threads.
template <class X>
SLUICE_DEVICE std::uint32_t split_base(X& x, const std::uint32_t* pairs, SplitShared& shared) {
  std::uint32_t most = 0;
  SLUICE_UNROLL
  for (int i = 0; i < 4 * kRounds; ++i) most = max_halves(most, pairs[i] & 0x7fff7fffU);
  for (unsigned i = 1; i < 32; i *= 2) most = max_halves(most, x.shfl_xor(most, i));
  if (x.lane() == 0) shared.maxima[x.thread() / 32] = most;
  x.sync_block();
  most = 0;
  for (int i = 0; i < static_cast<int>(kThreads / 32); ++i) most = max_halves(most, shared.maxima[i]);
  const std::uint32_t low = exponent_of(most & 0xffffU), high = exponent_of(most >> 16);
  const std::uint32_t top = low > high ? low : high;
  return top > 14 ? top - 14 : 0;
}

/// Escapes of each of a thread's rounds, 16 bits each: then one sum counts all of them in order.
template <class X>
SLUICE_DEVICE std::uint64_t count_escapes(X& x, const std::uint32_t* pairs, const SplitBlock& b, std::uint32_t base) {
  std::uint64_t all = 0;
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    if (8 * (r * kThreads + x.thread()) >= b.values) continue;
    std::uint32_t n = 0;
    SLUICE_UNROLL
    for (int i = 0; i < 8; ++i) n += exponent_of(half_of(pairs + 4 * r, i)) < base ? 1 : 0;
    all |= std::uint64_t{n} << 16 * r;
  }
  return all;
}
SLUICE_DEVICE std::uint32_t sum_of_rounds(std::uint64_t v) {
  return static_cast<std::uint32_t>((v & 0xffff) + (v >> 16 & 0xffff) + (v >> 32 & 0xffff) + (v >> 48));
}

/// Where the escapes of each round of this thread begin among the block's; all: the sum of v over the threads.
template <class X>
SLUICE_DEVICE void escape_places(X& x, std::uint64_t v, std::uint64_t& all, std::uint32_t* places,
                                 SplitShared& shared) {
  std::uint64_t up = v;  // sum over the lanes up to this one
  for (unsigned i = 1; i < 32; i *= 2) {
    const std::uint64_t other = x.shfl(up, x.lane() >= i ? x.lane() - i : 0);
    if (x.lane() >= i) up += other;
  }
  x.sync_block();
  if (x.lane() == 31) shared.sums[x.thread() / 32] = up;
  x.sync_block();
  std::uint64_t before = up - v;
  all = 0;
  for (std::uint32_t i = 0; i < kThreads / 32; ++i) {
    if (i < x.thread() / 32) before += shared.sums[i];
    all += shared.sums[i];
  }
  std::uint32_t rounds = 0;
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    places[r] = rounds + static_cast<std::uint32_t>(before >> 16 * r & 0xffff);
    rounds += static_cast<std::uint32_t>(all >> 16 * r & 0xffff);
  }
}

// ---- encoding
// ------------------------------------------------------------------------------------------------------------

/// First pass: the block's length, with its base in it, to the workspace.
template <int D, class X>
SLUICE_DEVICE void count_split(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t index,
                               std::uint8_t* workspace, SplitShared& shared) {
  const SplitBlock b = split_block<D>(p, index);
  std::uint32_t pairs[4 * kRounds];
  load_groups<D>(x, m, t, p, b, pairs);
  const std::uint32_t base = split_base(x, pairs, shared);
  const std::uint32_t n = sum_of_rounds(block_sum(x, count_escapes(x, pairs, b, base), shared.sums));
  const std::uint32_t length = b.coded_bytes(n);
  if (x.thread() == 0)
    store_as(workspace + m.lengths_at + 4 * std::uint64_t{p.first_block + index},
             length < 2 * b.values ? length | base << kBaseShift : 2 * b.values | kStoredFlag);
}

/// Second pass: entry in the directory, and the block to its place.
template <int D, class X>
SLUICE_DEVICE void write_split(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t index,
                               std::uint32_t counted, std::uint8_t* entry, std::uint8_t* to, SplitShared& shared) {
  const SplitBlock b = split_block<D>(p, index);
  const std::uint32_t length = counted & kLengthMask, base = counted >> kBaseShift & 0xffU;
  const bool stored = (counted & kStoredFlag) != 0;
  if (x.thread() == 0) store_as(entry, stored ? kEntryStored : (length - b.coded_bytes(0)) | base << 16);
  std::uint32_t pairs[4 * kRounds], places[kRounds];
  load_groups<D>(x, m, t, p, b, pairs);
  std::uint64_t all = 0;
  escape_places(x, count_escapes(x, pairs, b, base), all, places, shared);
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    const std::uint32_t g = r * kThreads + x.thread();
    if (8 * g >= b.values) continue;
    if (stored) {
      store_words<4>(shared.coded + 16 * g, pairs + 4 * r);
      continue;
    }
    std::uint32_t nibbles = 0, rest[2] = {0, 0}, at = b.coded_bytes(places[r]);
    SLUICE_UNROLL
    for (int i = 0; i < 8; ++i) {
      const std::uint32_t v = half_of(pairs + 4 * r, i), e = exponent_of(v);
      if (e < base) shared.coded[at++] = static_cast<std::uint8_t>(e);
      nibbles |= (e < base ? 15U : e - base) << 4 * i;
      rest[i / 4] |= rest_of(v) << 8 * (i % 4);
    }
    store_as(shared.coded + 4 * g, nibbles);
    store_words<2>(shared.coded + b.values / 2 + 8 * g, rest);
  }
  x.sync_block();
  copy_bytes(x, shared.coded, to, length);
}

// ---- decoding
// ------------------------------------------------------------------------------------------------------------

/// Bytes of a block by its entry in the directory.
SLUICE_DEVICE std::uint32_t entry_bytes(std::uint32_t entry, std::uint32_t values) {
  const std::uint32_t escapes = entry & 0xffffU;
  return escapes == kEntryStored ? 2 * values : values / 2 + values + escapes;
}

template <int D, class X>
SLUICE_DEVICE DecodeError decode_split(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t index,
                                       const Place& part, SplitShared& shared) {
  const SplitBlock b = split_block<D>(p, index);
  if (part.size < 4 * p.blocks) return DecodeError::lengths;
  std::uint64_t at = 0;
  for (std::uint32_t i = x.thread(); i < index; i += x.threads())
    at += entry_bytes(load_as<std::uint32_t>(part.begin + 4 * i), p.block_tokens * b.width);
  at = 4 * std::uint64_t{p.blocks} + block_sum(x, at, shared.sums);
  const std::uint32_t entry = load_as<std::uint32_t>(part.begin + 4 * index), base = entry >> 16 & 0xffU;
  const bool stored = (entry & 0xffffU) == kEntryStored;
  const std::uint32_t length = entry_bytes(entry, b.values);
  if (entry >> 24 != 0 || at + length > part.size || (index + 1 == p.blocks && at + length != part.size) ||
      (stored ? base != 0 : (entry & 0xffffU) >= b.values / 2 || base > kMostBase))
    return DecodeError::lengths;
  copy_bytes(x, part.begin + at, shared.coded, length);
  x.sync_block();
  std::uint32_t nibbles[kRounds], places[kRounds];
  std::uint64_t counts = 0, all = 0;
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    const std::uint32_t g = r * kThreads + x.thread();
    nibbles[r] = !stored && 8 * g < b.values ? load_as<std::uint32_t>(shared.coded + 4 * g) : 0;
    // A nibble of 15 leaves a bit where all four of its bits meet.
    const std::uint32_t two = nibbles[r] & nibbles[r] >> 1;
    counts |= std::uint64_t{count_bits(two & two >> 2 & 0x11111111U)} << 16 * r;
  }
  escape_places(x, counts, all, places, shared);
  if (!stored && sum_of_rounds(all) != length - b.coded_bytes(0)) return DecodeError::symbols;
  SLUICE_UNROLL
  for (int r = 0; r < kRounds; ++r) {
    const std::uint32_t g = r * kThreads + x.thread();
    if (8 * g >= b.values) continue;
    std::uint32_t pairs[4] = {0, 0, 0, 0}, rest[2];
    if (stored) {
      load_words<4>(shared.coded + 16 * g, pairs);
    } else {
      load_words<2>(shared.coded + b.values / 2 + 8 * g, rest);
      std::uint32_t next = b.coded_bytes(places[r]);
      SLUICE_UNROLL
      for (int i = 0; i < 8; ++i) {
        const std::uint32_t c = nibbles[r] >> 4 * i & 15U;
        const std::uint32_t e = c == 15 ? shared.coded[next++] : base + c;
        pairs[i / 2] |= value_of(e, rest[i / 4] >> 8 * (i % 4) & 0xffU) << 16 * (i % 2);
      }
    }
    store_words<4>(group_at<D>(m, t, p, b, g), pairs);
  }
  return DecodeError::none;
}

}  // namespace sluice::kv::cuda
