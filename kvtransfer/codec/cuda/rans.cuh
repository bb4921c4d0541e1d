#pragma once
// rANS (coder_generic.inl, symbol_plane.cpp): one warp per block of at most 32,768 symbols, two of the 64 lanes per
// thread. A block is quantized into shared memory as nibbles, which are also the stored form, and coded from there into
// a slot of the workspace; pack_chunk() then puts the blocks one behind the other. That second pass moves only coded
// bytes, a quarter of the rows', and needs no block to wait for another, as a look-back in one pass would: progress
// does not depend on how blocks are scheduled.
#include "kvtransfer/codec/cuda/chunk.cuh"

namespace sluice::kv::cuda {

/// Of one warp.
struct RansShared {
  Book book;
  std::uint32_t freq[16], cum[16], reciprocal[16];
  std::uint32_t scratch[16 * 32];  // counts of each lane, or what each of the 256 slots means
  alignas(16) std::uint8_t nibbles[kMostBlockSymbols / 2];
};

constexpr std::uint32_t kRansStart = 256;

/// A block of a coded part.
struct CodedBlock {
  std::uint32_t index, first, tokens;  // in the part; rows of it
  std::uint32_t symbols, packed;       // packed: bytes when stored
};
template <int D>
SLUICE_DEVICE CodedBlock coded_block(const Part& p, std::uint32_t index) {
  CodedBlock b;
  b.index = index;
  b.first = index * p.block_tokens;
  b.tokens = least(p.block_tokens, p.tokens - b.first);
  b.symbols = b.tokens * p.heads * D;
  b.packed = b.symbols / 2;
  return b;
}

template <int D>
SLUICE_DEVICE std::uint32_t slot_bytes(const Part& p) {
  return p.block_tokens * p.heads * (D / 2);
}
/// Coded bytes lie at the end of their slot, since encoding goes backwards.
template <int D>
SLUICE_DEVICE std::uint8_t* slot_end(const Part& p, const CodedBlock& b, std::uint8_t* workspace) {
  return workspace + p.slots + std::uint64_t{b.index} * slot_bytes<D>(p) + slot_bytes<D>(p);
}

/// Frequencies in shared.freq to what coding needs. One warp.
template <class X>
SLUICE_DEVICE void derive_table(X& x, RansShared& shared) {
  x.sync_warp();
  if (x.lane() < 16) {
    std::uint32_t at = 0;
    for (std::uint32_t i = 0; i < x.lane(); ++i) at += shared.freq[i];
    const std::uint32_t f = shared.freq[x.lane()];
    shared.cum[x.lane()] = at;
    // v / f = v * reciprocal >> 24 for all v < 256 f: the error stays below 1 / f, and the product in 32 bits.
    shared.reciprocal[x.lane()] = f == 0 ? 0 : (1U << 24) / f + 1;
  }
  x.sync_warp();
}

// ---- encoding
// ----------------------------------------------------------------------------------------------------------

/// Bytes of four symbols to four nibbles.
SLUICE_DEVICE std::uint32_t squeeze(std::uint32_t w) {
  return (w & 0xfU) | (w >> 4 & 0xf0U) | (w >> 8 & 0xf00U) | (w >> 12 & 0xf000U);
}
SLUICE_DEVICE std::uint32_t stretch(std::uint32_t w) {
  return (w & 0xfU) | (w & 0xf0U) << 4 | (w & 0xf00U) << 8 | (w & 0xf000U) << 12;
}

/// scales: of the part, or null.
template <int D, class X>
SLUICE_DEVICE void quantize_block(X& x, const Image& m, const PageTable& t, const Part& p, const CodedBlock& b,
                                  std::uint8_t* scales, RansShared& shared) {
  constexpr int K = Quad<D>::kWords;
  const std::uint32_t vectors = b.tokens * p.heads, width = shared.book.log8 ? 1 : 2;
  const int lane = x.lane() & 3;
  for (std::uint32_t i = 0; i < vectors; i += 8) {
    const std::uint32_t v = least(i + x.lane() / 4, vectors - 1), token = v / p.heads, head = v % p.heads;
    const std::uint8_t* from =
        row_at(m, t, p.segment, p.first_row + b.first + token) + std::size_t{p.first_head + head} * (2 * D);
    std::uint32_t pairs[Quad<D>::kPairs], signs[K] = {}, s[2 * K], runs[2 * K];
    load_runs<D>(from, lane, pairs);
    if (shared.book.transform) load_signs<D>(signs_at<D>(m, p, head), lane, signs);
    const std::uint32_t bits = encode_book<D>(x, shared.book, signs, pairs, s);
    if (lane == 0 && scales != nullptr) {
      std::uint8_t* scale = scales + (std::size_t{b.first} * p.heads + v) * width;
      if (width == 1)
        *scale = static_cast<std::uint8_t>(bits);
      else
        store_as(scale, static_cast<std::uint16_t>(bits));
    }
    symbols_to_runs<D>(x, s, runs);
    SLUICE_UNROLL
    for (int h = 0; h < 2; ++h) {
      std::uint32_t n[K / 2];
      SLUICE_UNROLL
      for (int j = 0; j < K / 2; ++j) n[j] = squeeze(runs[h * K + 2 * j]) | squeeze(runs[h * K + 2 * j + 1]) << 16;
      store_words<K / 2>(shared.nibbles + std::size_t{v} * (D / 2) + h * (D / 4) + 2 * K * lane, n);
    }
  }
  x.sync_warp();
}

/// rans_table_for(): the best frequencies for how often symbols were seen; one thread.
SLUICE_DEVICE void fit_frequencies(const std::uint32_t* counts, std::uint32_t n, std::uint32_t* freq) {
  std::uint64_t seen = 0;
  for (std::uint32_t s = 0; s < n; ++s) seen += counts[s];
  std::uint32_t sum = 0;
  for (std::uint32_t s = 0; s < n; ++s) {
    const auto rounded =
        static_cast<std::uint32_t>(seen ? (256 * std::uint64_t{counts[s]} + seen / 2) / seen : 256 / n);
    freq[s] = rounded == 0 ? 1 : rounded;
    sum += freq[s];
  }
  const auto dearer = [&](std::uint32_t a, std::uint32_t b, int side) {
    return std::uint64_t{counts[a]} * (2 * freq[b] + static_cast<std::uint32_t>(side)) >
           std::uint64_t{counts[b]} * (2 * freq[a] + static_cast<std::uint32_t>(side));
  };
  for (; sum < 256; ++sum) {
    std::uint32_t best = 0;
    for (std::uint32_t s = 1; s < n; ++s)
      if (dearer(s, best, 1)) best = s;
    ++freq[best];
  }
  for (; sum > 256; --sum) {
    std::uint32_t best = n;
    for (std::uint32_t s = 0; s < n; ++s)
      if (freq[s] > 1 && (best == n || dearer(best, s, -1))) best = s;
    --freq[best];
  }
}

/// Block i: the table of the i-th part that has one of its own, from its first block, to the workspace as it is sent.
template <int D, class X>
SLUICE_DEVICE void measure_table(X& x, const Image& m, const PageTable& t, std::uint8_t* workspace,
                                 RansShared& shared) {
  const Part& p = part_at(m, find_part(m, x.block(), [](const Part& q) { return q.table; }));
  share_book(x, m, p, &shared.book);
  const CodedBlock b = coded_block<D>(p, 0);
  quantize_block<D>(x, m, t, p, b, nullptr, shared);
  for (int s = 0; s < 16; ++s) shared.scratch[32 * s + x.lane()] = 0;
  for (std::uint32_t i = x.lane(); i < b.packed; i += 32) {
    ++shared.scratch[32 * (shared.nibbles[i] & 15) + x.lane()];
    ++shared.scratch[32 * (shared.nibbles[i] >> 4) + x.lane()];
  }
  x.sync_warp();
  if (x.lane() < 16) {
    std::uint32_t count = 0;
    for (int i = 0; i < 32; ++i) count += shared.scratch[32 * x.lane() + i];
    shared.cum[x.lane()] = count;
  }
  x.sync_warp();
  if (x.lane() != 0) return;
  fit_frequencies(shared.cum, p.levels, shared.freq);
  std::uint8_t* to = workspace + m.tables_at + 16 * std::uint64_t{p.table};
  for (std::uint32_t s = 0; s < 16; ++s) to[s] = static_cast<std::uint8_t>(s < p.levels ? shared.freq[s] - 1 : 0);
}

SLUICE_DEVICE std::uint32_t nibble(const std::uint8_t* nibbles, std::uint32_t i) {
  return nibbles[i / 2] >> 4 * (i & 1) & 15U;
}

/// Codes the symbols in shared memory backwards from `end`; returns the bytes with the states in front, or 0 if there
/// would be `most` or more.
template <class X>
SLUICE_DEVICE std::uint32_t encode_symbols(X& x, std::uint32_t symbols, std::uint8_t* end, std::uint32_t most,
                                           const RansShared& shared) {
  if (most <= kStatesBytes) return 0;
  const std::uint32_t below = (1U << x.lane()) - 1;
  std::uint32_t state[2] = {kRansStart, kRansStart}, used = kStatesBytes;
  for (std::uint32_t at = symbols; at > 0; at -= 64) {
    std::uint32_t s[2], f[2], full[2];
    SLUICE_UNROLL
    for (int i = 0; i < 2; ++i) {
      s[i] = nibble(shared.nibbles, at - 64 + 32 * i + x.lane());
      f[i] = shared.freq[s[i]];
      full[i] = x.ballot(state[i] >= f[i] << 8);
    }
    const std::uint32_t low = count_bits(full[0]);
    used += low + count_bits(full[1]);
    if (used >= most) return 0;
    std::uint8_t* to = end - (used - kStatesBytes);
    SLUICE_UNROLL
    for (int i = 0; i < 2; ++i) {
      if (full[i] >> x.lane() & 1) {
        to[(i == 0 ? 0 : low) + count_bits(full[i] & below)] = static_cast<std::uint8_t>(state[i]);
        state[i] >>= 8;
      }
      const std::uint32_t q = state[i] * shared.reciprocal[s[i]] >> 24;
      state[i] = (q << 8) + (state[i] - q * f[i]) + shared.cum[s[i]];
    }
  }
  std::uint8_t* states = end - used;
  SLUICE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t at = 2 * (x.lane() + 32 * i);
    states[at] = static_cast<std::uint8_t>(state[i]);
    states[at + 1] = static_cast<std::uint8_t>(state[i] >> 8);
  }
  return used;
}

/// Block i of the grid: coded block i of the plan.
template <int D, class X>
SLUICE_DEVICE void encode_rans(X& x, const Image& m, const PageTable& t, std::uint8_t* out, std::uint8_t* workspace,
                               RansShared& shared) {
  const Part& p = part_at(m, find_part(m, x.block(), [](const Part& q) { return q.first_block; }));
  if (p.kind == PartKind::split4) return;
  const CodedBlock b = coded_block<D>(p, x.block() - p.first_block);
  share_book(x, m, p, &shared.book);
  std::uint8_t* to = part_out(m, p, out, workspace);
  if (b.index == 0) fill_zero(x, to, std::uint64_t{shared.book.log8 ? 1U : 2U} * p.heads * p.tokens, p.codes_at);
  quantize_block<D>(x, m, t, p, b, to, shared);
  if (x.lane() < 16) {
    const std::uint8_t* table = workspace + m.tables_at + 16 * std::uint64_t{p.table};
    shared.freq[x.lane()] = !p.measured ? shared.book.freq[x.lane()] : x.lane() < p.levels ? table[x.lane()] + 1U : 0U;
  }
  derive_table(x, shared);
  std::uint8_t* end = slot_end<D>(p, b, workspace);
  const std::uint32_t coded = encode_symbols(x, b.symbols, end, b.packed, shared);
  if (coded == 0) copy_row(x, shared.nibbles, end - b.packed, b.packed);
  if (x.lane() == 0)
    store_as(workspace + m.lengths_at + 4 * std::uint64_t{x.block()}, coded != 0 ? coded : b.packed | kStoredFlag);
}

// ---- decoding
// ----------------------------------------------------------------------------------------------------------

/// False if the symbols in shared memory are not all below levels.
template <class X>
SLUICE_DEVICE bool load_stored(X& x, const std::uint8_t* from, const CodedBlock& b, std::uint32_t levels,
                               RansShared& shared) {
  bool good = true;
  for (std::uint32_t i = x.lane(); i < b.packed; i += 32) {
    const std::uint8_t two = from[i];
    good = good && (two & 15U) < levels && two >> 4U < levels;
    shared.nibbles[i] = two;
  }
  return x.ballot(!good) == 0;
}

/// `size` bytes behind the states. False unless they are just enough and lanes end where encoding began.
template <class X>
SLUICE_DEVICE bool decode_symbols(X& x, const std::uint8_t* states, std::uint32_t size, std::uint32_t symbols,
                                  RansShared& shared) {
  const std::uint8_t* bytes = states + kStatesBytes;
  const std::uint32_t below = (1U << x.lane()) - 1;
  const bool odd = x.lane() & 1;
  std::uint32_t state[2], used = 0;
  bool good = true;
  SLUICE_UNROLL
  for (int i = 0; i < 2; ++i) {
    const std::uint8_t* at = states + 2 * (x.lane() + 32 * i);
    state[i] = at[0] | static_cast<std::uint32_t>(at[1]) << 8;
    good = good && state[i] >= kRansStart;
  }
  if (x.ballot(!good) != 0) return false;
  for (std::uint32_t at = 0; at < symbols; at += 64) {
    std::uint32_t s[2], need[2];
    SLUICE_UNROLL
    for (int i = 0; i < 2; ++i) {
      // A slot: its symbol, frequency and distance from the symbol's first slot.
      const std::uint32_t slot = shared.scratch[state[i] & 255];
      s[i] = slot & 15;
      state[i] = (slot >> 8 & 255) * (state[i] >> 8) + (slot >> 16);
      need[i] = x.ballot(state[i] < kRansStart);
    }
    const std::uint32_t low = count_bits(need[0]), count = low + count_bits(need[1]);
    if (count > size - used) return false;
    SLUICE_UNROLL
    for (int i = 0; i < 2; ++i)
      if (need[i] >> x.lane() & 1)
        state[i] = state[i] << 8 | bytes[used + (i == 0 ? 0 : low) + count_bits(need[i] & below)];
    used += count;
    // Even lanes write the first 32 symbols, odd ones the second.
    const std::uint32_t other = x.shfl_xor(odd ? s[0] : s[1], 1);
    shared.nibbles[at / 2 + (odd ? 16 : 0) + x.lane() / 2] =
        static_cast<std::uint8_t>(odd ? other | s[1] << 4 : s[0] | other << 4);
  }
  return used == size && x.ballot(state[0] != kRansStart || state[1] != kRansStart) == 0;
}

/// The table in front of a plane, or the book's, to shared memory; false for what is none.
template <class X>
SLUICE_DEVICE bool load_table(X& x, const Part& p, const std::uint8_t* plane, RansShared& shared) {
  bool good = true;
  std::uint32_t f = 0;
  if (x.lane() < 16) {
    f = shared.book.freq[x.lane()];
    if (p.measured) {
      const std::uint32_t sent = plane[x.lane()];
      good = x.lane() < p.levels ? sent < 255 : sent == 0;
      f = x.lane() < p.levels ? sent + 1 : 0;
    }
    shared.freq[x.lane()] = f;
  }
  for (unsigned i = 1; i < 32; i *= 2) f += x.shfl_xor(f, i);
  if (x.ballot(!good) != 0 || f != 256) return false;
  derive_table(x, shared);
  for (std::uint32_t slot = x.lane(); slot < 256; slot += 32) {
    std::uint32_t s = 0;
    while (s < 15 && slot >= shared.cum[s] + shared.freq[s]) ++s;
    shared.scratch[slot] = s | shared.freq[s] << 8 | (slot - shared.cum[s]) << 16;
  }
  x.sync_warp();
  return true;
}

template <int D, class X>
SLUICE_DEVICE DecodeError dequantize_block(X& x, const Image& m, const PageTable& t, const Part& p, const CodedBlock& b,
                                           const std::uint8_t* scales, RansShared& shared) {
  constexpr int K = Quad<D>::kWords;
  const std::uint32_t vectors = b.tokens * p.heads, width = shared.book.log8 ? 1 : 2;
  const int lane = x.lane() & 3;
  bool good = true;
  for (std::uint32_t i = 0; i < vectors; i += 8) {
    const std::uint32_t v = least(i + x.lane() / 4, vectors - 1), token = v / p.heads, head = v % p.heads;
    const std::uint8_t* at = scales + (std::size_t{b.first} * p.heads + v) * width;
    std::uint32_t bits = width == 1 ? *at : load_as<std::uint16_t>(at);
    if (width == 2 && !scale_is_good(bits, shared.book.max_scale)) {
      good = false;
      bits = 0;
    }
    std::uint32_t runs[2 * K], s[2 * K], signs[K] = {}, pairs[Quad<D>::kPairs];
    SLUICE_UNROLL
    for (int h = 0; h < 2; ++h) {
      std::uint32_t n[K / 2];
      load_words<K / 2>(shared.nibbles + std::size_t{v} * (D / 2) + h * (D / 4) + 2 * K * lane, n);
      SLUICE_UNROLL
      for (int j = 0; j < K / 2; ++j) {
        runs[h * K + 2 * j] = stretch(n[j] & 0xffffU);
        runs[h * K + 2 * j + 1] = stretch(n[j] >> 16);
      }
    }
    runs_to_symbols<D>(x, runs, s);
    if (shared.book.transform) load_signs<D>(signs_at<D>(m, p, head), lane, signs);
    decode_book<D>(x, shared.book, signs, width == 1 ? log8_meaning(bits) : from_bf16(bits), s, pairs);
    store_runs<D>(row_at(m, t, p.segment, p.first_row + b.first + token) + std::size_t{p.first_head + head} * (2 * D),
                  lane, pairs);
  }
  return x.ballot(!good) == 0 ? DecodeError::none : DecodeError::scale;
}

template <int D, class X>
SLUICE_DEVICE DecodeError decode_coded_block(X& x, const Image& m, const PageTable& t, const Part& p,
                                             const CodedBlock& b, const Place& part, RansShared& shared) {
  const std::uint8_t* plane = part.begin + p.codes_at;
  const std::uint32_t size = part.size - p.codes_at, prefix = 16 * p.measured + 4 * p.blocks;
  if (size < prefix) return DecodeError::lengths;
  // Every warp adds up the blocks before its own: a directory is short, and nobody has to wait for a sum.
  std::uint64_t at = 0;
  for (std::uint32_t i = x.lane(); i < b.index; i += 32)
    at += load_u32_bytes(plane + 16 * p.measured + 4 * i) & ~kStoredFlag;
  for (unsigned i = 1; i < 32; i *= 2) at += x.shfl_xor(at, i);
  at += prefix;
  const std::uint32_t entry = load_u32_bytes(plane + 16 * p.measured + 4 * b.index), length = entry & ~kStoredFlag;
  const bool stored = entry != length;
  if (at + length > size || (b.index + 1 == p.blocks && at + length != size) ||
      (stored ? length != b.packed : length < kStatesBytes || length >= b.packed))
    return DecodeError::lengths;
  if (!load_table(x, p, plane, shared)) return DecodeError::table;
  const bool good = stored ? load_stored(x, plane + at, b, p.levels, shared)
                           : decode_symbols(x, plane + at, length - kStatesBytes, b.symbols, shared);
  x.sync_warp();
  if (!good) return DecodeError::symbols;
  return dequantize_block<D>(x, m, t, p, b, part.begin, shared);
}

template <int D, class X>
SLUICE_DEVICE void decode_rans(X& x, const Image& m, const PageTable& t, const Encoded& e, RansShared& shared,
                               std::uint32_t* error) {
  const Part& p = part_at(m, find_part(m, x.block(), [](const Part& q) { return q.first_block; }));
  if (p.kind == PartKind::split4) return;
  const Segment& s = segment_at(m, p.segment);
  share_book(x, m, p, &shared.book);
  Place blob{}, part{};
  // The frame's block reports what is wrong before the parts.
  if (find_blob(e, s, p.segment, blob) != DecodeError::none ||
      find_part_bytes(m, s, blob, p.index, part) != DecodeError::none)
    return;
  const DecodeError wrong =
      decode_coded_block<D>(x, m, t, p, coded_block<D>(p, x.block() - p.first_block), part, shared);
  if (wrong != DecodeError::none && x.lane() == 0) x.flag(error, wrong);
}

}  // namespace sluice::kv::cuda
